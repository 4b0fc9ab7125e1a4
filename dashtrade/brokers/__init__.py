"""The brokers that orders go to: a package each, which imports nothing of ours but `domain`. Its `descriptor`
says what is known of it, its `adapter` implements `ports.Broker`, and `registry` has a row of it."""
