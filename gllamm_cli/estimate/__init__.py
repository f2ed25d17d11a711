"""Likelihood by quadrature and its maximisation."""
