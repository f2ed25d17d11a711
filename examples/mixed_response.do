* Wages and college of young women: a regression with an endogenous binary regressor
webuse nlswork, clear
keep if year == 88
generate coll = collgrad
xi i.race
treatreg ln_wage tenure _Irace_2 _Irace_3 grade, treat(coll = _Irace_2 _Irace_3 south) nolog
matrix bb = e(b)

* the same model with a common factor of two responses, a continuous and a binary one
expand 2
bysort idcode year: generate byte var = _n
generate resp = ln_wage if var == 1
replace resp = coll if var == 2
foreach x of varlist grade south _Irace_2 _Irace_3 tenure coll {
    generate v1_`x' = `x'*(var == 1)
    generate v2_`x' = `x'*(var == 2)
}
generate v1 = (var == 1)
generate v2 = (var == 2)
gllamm resp v1_tenure v1__Irace_2 v1__Irace_3 v1_grade v1_coll v1 ///
    v2__Irace_2 v2__Irace_3 v2_south v2, nocons ///
    fv(var) lv(var) link(id probit) family(gauss binom) ///
    i(idcode) nip(8) adapt from(bb) copy nolog
nlcom (rho: [idco1]_cons^2/sqrt(([idco1]_cons^2 + exp(2*[lns1]_cons))*([idco1]_cons^2 + 1)))
