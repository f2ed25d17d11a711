# Fit one model by glmmTMB and print its log likelihood and the seconds it took:
# Rscript glmmTMB.R DATA.csv FORMULA FAMILY METHOD (ml and laplace are the same to it)
suppressMessages(suppressWarnings(library(glmmTMB)))

arguments <- commandArgs(TRUE)
data <- read.csv(arguments[1])
formula <- as.formula(arguments[2])
family <- eval(parse(text = arguments[3]))

elapsed <- system.time(
  fit <- suppressMessages(suppressWarnings(glmmTMB(formula, data, family = family)))
)
cat(sprintf(
  '{"log_likelihood": %.9f, "seconds": %.6f, "cpu": %.6f}\n',
  as.numeric(logLik(fit)), elapsed[["elapsed"]], elapsed[["user.self"]] + elapsed[["sys.self"]]
))
