"""Predictions and simulations from a fit: what ``gllapred`` and ``gllasim`` do."""

from gllamm_cli.predict.commands import carry_out as carry_out
from gllamm_cli.predict.predictor import predict as predict
from gllamm_cli.predict.request import Prediction as Prediction
from gllamm_cli.predict.request import PredictRequest as PredictRequest
from gllamm_cli.predict.request import Quantity as Quantity
from gllamm_cli.predict.request import Rows as Rows
from gllamm_cli.predict.request import Simulated as Simulated
from gllamm_cli.predict.request import SimulateRequest as SimulateRequest
from gllamm_cli.predict.request import StartingPoint as StartingPoint
from gllamm_cli.predict.simulator import simulate as simulate
