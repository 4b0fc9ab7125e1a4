"""What keeps an installation well: disk, quotas, keys, restored backups, exports."""
