"""Operations: disk, quotas, keys, restored backups, exports."""
