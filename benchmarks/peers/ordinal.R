# Fit one cumulative logit model by ordinal and print its log likelihood and the seconds it took:
# Rscript ordinal.R DATA.csv FORMULA FAMILY METHOD (laplace or a number of points)
suppressMessages(library(ordinal))

arguments <- commandArgs(TRUE)
data <- read.csv(arguments[1])
formula <- as.formula(arguments[2])
data[[all.vars(formula)[1]]] <- ordered(data[[all.vars(formula)[1]]])
points <- if (arguments[4] == "laplace") 1 else as.integer(arguments[4])

elapsed <- system.time(fit <- suppressWarnings(clmm(formula, data, nAGQ = points)))
cat(sprintf(
  '{"log_likelihood": %.9f, "seconds": %.6f, "cpu": %.6f}\n',
  as.numeric(logLik(fit)), elapsed[["elapsed"]], elapsed[["user.self"]] + elapsed[["sys.self"]]
))
