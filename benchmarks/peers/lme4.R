# Fit one model by lme4 and print its log likelihood and the seconds it took:
# Rscript lme4.R DATA.csv FORMULA FAMILY METHOD (ml, laplace or a number of points)
suppressMessages(library(lme4))

arguments <- commandArgs(TRUE)
data <- read.csv(arguments[1])
formula <- as.formula(arguments[2])
family <- eval(parse(text = arguments[3]))
method <- arguments[4]

elapsed <- system.time(
  fit <- suppressMessages(suppressWarnings(
    if (method == "ml") {
      lmer(formula, data, REML = FALSE)
    } else {
      glmer(formula, data, family = family, nAGQ = if (method == "laplace") 1 else as.integer(method))
    }
  ))
)
cat(sprintf(
  '{"log_likelihood": %.9f, "seconds": %.6f, "cpu": %.6f}\n',
  as.numeric(logLik(fit)), elapsed[["elapsed"]], elapsed[["user.self"]] + elapsed[["sys.self"]]
))
