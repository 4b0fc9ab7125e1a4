"""One file per aggregate: its tables and every query on them.

Every query on a user's rows takes `owner`, and finds nothing for anybody else. The few that serve the system
(the worker, sign-in by token) see all rows; each module names them in `SYSTEM`, and a test checks the
separation."""
