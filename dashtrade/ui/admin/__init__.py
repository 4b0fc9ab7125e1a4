"""What admins see and do: the installation, its people, everybody's trades."""
