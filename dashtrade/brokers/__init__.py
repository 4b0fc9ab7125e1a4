"""The brokers that orders go to: a package each, which imports only `domain` and its own files. Its
`descriptor` describes the broker, its `adapter` implements `ports.Broker`, and `registry` lists it."""
