* Pupils in schools: how much of the relation between achievement and status lies between schools?
sysuse hsb, clear
summarize math ses

bysort school: egen ses_mean = mean(ses)
generate ses_dev = ses - ses_mean
label variable ses_mean "mean status of the school"

gllamm math, i(school) adapt nolog
estimates store empty
display "intraclass correlation: " %5.3f [scho1]_cons^2/([scho1]_cons^2 + exp(2*[lns1]_cons))

gllamm math ses_dev ses_mean, i(school) adapt nolog
estimates store both
lrtest empty both
lincom ses_mean - ses_dev
estimates table empty both, b(%9.4f) se stats(N ll)
