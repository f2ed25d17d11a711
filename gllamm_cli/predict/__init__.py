"""Predictions and simulations from a fit: what ``gllapred`` and ``gllasim`` do."""

from gllamm_cli.predict.predictor import predict as predict
from gllamm_cli.predict.request import Prediction as Prediction
from gllamm_cli.predict.request import PredictRequest as PredictRequest
from gllamm_cli.predict.request import Quantity as Quantity
