# What the recorded fits have in common: how a fit becomes a list, and where it goes.

suppressMessages({
  library(lme4)
  library(jsonlite)
})

folder <- commandArgs(TRUE)[1]

table_of <- function(name) read.csv(file.path(folder, paste0(name, ".csv")))

# Tight, so that recorded digits are those of the maximum.
tight_linear <- lmerControl(
  optimizer = "bobyqa",
  optCtrl = list(rhoend = 1e-10, maxfun = 1e5)
)
tight <- glmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5))

# Estimates on the scale gllamm prints: coefficients, variances, covariances.
described <- function(fit, command, data) {
  components <- as.data.frame(VarCorr(fit))
  list(
    command = command,
    data = data,
    method = methTitle(fit@devcomp$dims),
    log_likelihood = as.numeric(logLik(fit)),
    coefficients = as.list(fixef(fit)),
    standard_errors = as.list(setNames(sqrt(diag(as.matrix(vcov(fit)))), names(fixef(fit)))),
    components = components
  )
}

record <- function(fits, file) {
  about <- list(
    R = R.version.string,
    lme4 = as.character(packageVersion("lme4")),
    script = paste0(sub("\\.json$", ".R", file))
  )
  text <- toJSON(c(about, list(fits = fits)), digits = I(14), auto_unbox = TRUE, pretty = TRUE)
  writeLines(text, file)
}
