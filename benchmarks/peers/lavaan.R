# Fit one factor model of continuous items by lavaan and print its log likelihood and seconds:
# Rscript lavaan.R DATA.csv MODEL FAMILY METHOD; the data are in long form (id, item, y)
suppressMessages(suppressWarnings(library(lavaan)))

arguments <- commandArgs(TRUE)
long <- read.csv(arguments[1])[, c("id", "item", "y")]
data <- reshape(long, idvar = "id", timevar = "item", direction = "wide", sep = "")

elapsed <- system.time(fit <- cfa(arguments[2], data, meanstructure = TRUE))
cat(sprintf(
  '{"log_likelihood": %.9f, "seconds": %.6f, "cpu": %.6f}\n',
  as.numeric(logLik(fit)), elapsed[["elapsed"]], elapsed[["user.self"]] + elapsed[["sys.self"]]
))
