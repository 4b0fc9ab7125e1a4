"""Market data as arrays: candles in columns, timeframes, trading sessions. numpy, and no database."""
