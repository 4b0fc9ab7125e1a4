"""Indicators: values at closed candles, the same for one candle or a million, wherever the history begins."""
