# fish completion for lifeboat
complete -c lifeboat -f
complete -c lifeboat -l config -d 'Configuration file.' -r -F
complete -c lifeboat -l json -d 'Print JSON.'
complete -c lifeboat -l verbose -d 'Say more.'
complete -c lifeboat -l quiet -d 'Show no progress.'
complete -c lifeboat -l no-color -d 'Use no colours.'
complete -c lifeboat -l help -d 'Show help.'
complete -c lifeboat -n __fish_use_subcommand -a 'doctor' -d 'Check that server and machine are fit to be protected'
complete -c lifeboat -n __fish_use_subcommand -a 'status' -d 'Show what can be recovered now, and what is wrong'
complete -c lifeboat -n __fish_use_subcommand -a 'vault' -d 'vault commands'
complete -c lifeboat -n __fish_use_subcommand -a 'backup' -d 'Take a backup of the server'
complete -c lifeboat -n __fish_use_subcommand -a 'backups' -d 'List the backups that can be restored'
complete -c lifeboat -n __fish_use_subcommand -a 'verify' -d 'Prove a backup by restoring, booting and checking it'
complete -c lifeboat -n __fish_use_subcommand -a 'prune' -d 'Remove the backups and the WAL that the retention policy lets go'
complete -c lifeboat -n __fish_use_subcommand -a 'points' -d 'Show which moments can be restored'
complete -c lifeboat -n __fish_use_subcommand -a 'wal' -d 'wal commands'
complete -c lifeboat -n __fish_use_subcommand -a 'restore' -d 'Restore a backup and replay WAL'
complete -c lifeboat -n __fish_use_subcommand -a 'probe' -d 'Write and read at a fixed rate, and tell what clients get'
complete -c lifeboat -n __fish_use_subcommand -a 'up' -d 'Bring up the stack: primary, replica, pooler, balancer, cache, receiver'
complete -c lifeboat -n __fish_use_subcommand -a 'down' -d 'Take the stack down'
complete -c lifeboat -n __fish_use_subcommand -a 'ps' -d 'Show what the stack\'s components are doing'
complete -c lifeboat -n __fish_use_subcommand -a 'logs' -d 'Show what the stack\'s components write'
complete -c lifeboat -n __fish_use_subcommand -a 'restart' -d 'Restart one component of the stack'
complete -c lifeboat -n __fish_use_subcommand -a 'scale' -d 'Run more or fewer programs of a component of the stack'
complete -c lifeboat -n __fish_use_subcommand -a 'exec' -d 'Run a command where a component of the stack runs'
complete -c lifeboat -n __fish_use_subcommand -a 'durability' -d 'Show or change how many confirmers a commit of the stack waits for'
complete -c lifeboat -n __fish_use_subcommand -a 'replication' -d 'Watch how far replica and receiver are behind the primary'
complete -c lifeboat -n __fish_use_subcommand -a 'pooler' -d 'pooler commands'
complete -c lifeboat -n __fish_use_subcommand -a 'failover' -d 'Say whether the primary can be replaced, and replace it'
complete -c lifeboat -n __fish_use_subcommand -a 'switchover' -d 'Move the primary role to another node, without a failed query'
complete -c lifeboat -n __fish_use_subcommand -a 'rebuild' -d 'Make a node that is down or has diverged a replica again'
complete -c lifeboat -n __fish_use_subcommand -a 'daemon' -d 'Watch the stack, and replace its primary when it is gone'
complete -c lifeboat -n __fish_use_subcommand -a 'demo' -d 'Back up a live server, destroy it, restore it, and count what is missing'
complete -c lifeboat -n __fish_use_subcommand -a 'config' -d 'config commands'
complete -c lifeboat -n __fish_use_subcommand -a 'completion' -d 'Print a shell completion script'
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and not __fish_seen_subcommand_from init check repair key' -a 'init' -d 'Make a vault'
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and not __fish_seen_subcommand_from init check repair key' -a 'check' -d 'Check that everything in the vault is there and whole'
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and not __fish_seen_subcommand_from init check repair key' -a 'repair' -d 'Make again what can be made again, and mark what cannot be restored'
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and not __fish_seen_subcommand_from init check repair key' -a 'key' -d 'Show and change who can open the vault'
complete -c lifeboat -n '__fish_seen_subcommand_from backup; and not __fish_seen_subcommand_from hold release' -a 'hold' -d 'Keep a backup, or everything, from being pruned'
complete -c lifeboat -n '__fish_seen_subcommand_from backup; and not __fish_seen_subcommand_from hold release' -a 'release' -d 'Let a held backup, or everything, be pruned again'
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and not __fish_seen_subcommand_from receive status get feed' -a 'receive' -d 'Receive WAL from the server into the vault'
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and not __fish_seen_subcommand_from receive status get feed' -a 'status' -d 'Show how receiving WAL stands'
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and not __fish_seen_subcommand_from receive status get feed' -a 'get' -d 'Fetch a WAL segment or history, as restore_command'
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and not __fish_seen_subcommand_from receive status get feed' -a 'feed' -d 'Go on feeding WAL to an interrupted recovery'
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and not __fish_seen_subcommand_from read-back' -a 'read-back' -d 'Look up every acknowledged write of a probe\'s ledger'
complete -c lifeboat -n '__fish_seen_subcommand_from pooler; and not __fish_seen_subcommand_from status resume watch' -a 'status' -d 'Show what the poolers do'
complete -c lifeboat -n '__fish_seen_subcommand_from pooler; and not __fish_seen_subcommand_from status resume watch' -a 'resume' -d 'Let clients go on that a paused pooler has waiting'
complete -c lifeboat -n '__fish_seen_subcommand_from pooler; and not __fish_seen_subcommand_from status resume watch' -a 'watch' -d 'Resume poolers whose controller died while they were paused'
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and not __fish_seen_subcommand_from pause resume' -a 'pause' -d 'No failover by itself until resumed, for maintenance'
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and not __fish_seen_subcommand_from pause resume' -a 'resume' -d 'Failover by itself again'
complete -c lifeboat -n '__fish_seen_subcommand_from config; and not __fish_seen_subcommand_from explain render' -a 'explain' -d 'Show every setting and where its value comes from'
complete -c lifeboat -n '__fish_seen_subcommand_from config; and not __fish_seen_subcommand_from explain render' -a 'render' -d 'Show the configuration of each program of the stack'
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l server-host -d 'Host name, address, or the folder of the server\'s Unix socket.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l server-port -d 'Port of the server.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l server-user -d 'Role to log in as; it needs REPLICATION.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l server-database -d 'Database for ordinary queries.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l server-password-file -d 'File that holds the password of the role.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l server-password-command -d 'Shell command that prints the password.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l server-tls -d 'Encryption of the connection, as in libpq\'s sslmode.' -x -a 'verify-full require disable'
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l server-ca-file -d 'Certificates that may sign the server\'s, for verify-full.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l server-connect-timeout -d 'How long a connection may take to open.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l vault-path -d 'Folder of the vault.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l vault-encryption -d 'Whether the vault asks for a secret; off keeps the key beside the data.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l vault-passphrase-file -d 'File that holds the vault\'s passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l vault-passphrase-command -d 'Shell command that prints the vault\'s passphrase.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l vault-recovery-key-file -d 'File that holds the recovery key; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l vault-identity-file -d 'File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l receiver-slot -d 'Physical replication slot on the server.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l receiver-application-name -d 'Name of the standby connection, as synchronous_standby_names lists it.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l receiver-status-interval -d 'Longest time between two reports to the server.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l receiver-delay -d 'Hold back every confirmation for so long; only to show what a slow receiver costs.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l postgres-bin-dir -d 'Folder of the server\'s programs (postgres, initdb, pg_ctl).' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from doctor' -l postgres-run-as -d 'User that servers run as when Lifeboat is started by root.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l server-host -d 'Host name, address, or the folder of the server\'s Unix socket.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l server-port -d 'Port of the server.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l server-user -d 'Role to log in as; it needs REPLICATION.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l server-database -d 'Database for ordinary queries.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l server-password-file -d 'File that holds the password of the role.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l server-password-command -d 'Shell command that prints the password.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l server-tls -d 'Encryption of the connection, as in libpq\'s sslmode.' -x -a 'verify-full require disable'
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l server-ca-file -d 'Certificates that may sign the server\'s, for verify-full.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l server-connect-timeout -d 'How long a connection may take to open.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l vault-path -d 'Folder of the vault.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l vault-encryption -d 'Whether the vault asks for a secret; off keeps the key beside the data.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l vault-passphrase-file -d 'File that holds the vault\'s passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l vault-passphrase-command -d 'Shell command that prints the vault\'s passphrase.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l vault-recovery-key-file -d 'File that holds the recovery key; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l vault-identity-file -d 'File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l receiver-slot -d 'Physical replication slot on the server.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l receiver-application-name -d 'Name of the standby connection, as synchronous_standby_names lists it.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l receiver-status-interval -d 'Longest time between two reports to the server.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l receiver-delay -d 'Hold back every confirmation for so long; only to show what a slow receiver costs.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l status-backup-max-age -d 'A newest backup older than this is wrong; a day and two hours suits one backup a day.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from status' -l status-proof-max-age -d 'A newest proof of a restored backup older than this is wrong; eight days suit one proof a week.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from init' -l vault-path -d 'Folder of the vault.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from init' -l vault-encryption -d 'Whether the vault asks for a secret; off keeps the key beside the data.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from init' -l vault-passphrase-file -d 'File that holds the vault\'s passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from init' -l vault-passphrase-command -d 'Shell command that prints the vault\'s passphrase.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from init' -l vault-recovery-key-file -d 'File that holds the recovery key; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from init' -l vault-identity-file -d 'File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from check' -l read-data -d 'Read, decrypt and verify every byte; takes as long as reading the vault.'
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from check' -l vault-path -d 'Folder of the vault.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from check' -l vault-encryption -d 'Whether the vault asks for a secret; off keeps the key beside the data.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from check' -l vault-passphrase-file -d 'File that holds the vault\'s passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from check' -l vault-passphrase-command -d 'Shell command that prints the vault\'s passphrase.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from check' -l vault-recovery-key-file -d 'File that holds the recovery key; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from check' -l vault-identity-file -d 'File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from repair' -l dry-run -d 'Print what would be done and change nothing.'
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from repair' -l history -d 'A history that the vault has lost, as it lies in pg_wal of a server: 00000002.history. One that what is held contradicts is refused.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from repair' -l system -d 'The system whose history it is. Default: the only one that lacks it.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from repair' -l vault-path -d 'Folder of the vault.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from repair' -l vault-encryption -d 'Whether the vault asks for a secret; off keeps the key beside the data.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from repair' -l vault-passphrase-file -d 'File that holds the vault\'s passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from repair' -l vault-passphrase-command -d 'Shell command that prints the vault\'s passphrase.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from repair' -l vault-recovery-key-file -d 'File that holds the recovery key; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from repair' -l vault-identity-file -d 'File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from repair' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from repair' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from repair' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from key' -l passphrase-file -d 'For add and rewrap: file that holds the new passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from key' -l age -d 'For add: an age recipient, age1….' -x
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from key' -l recovery-key -d 'For add: a new recovery key, printed once.'
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from key' -l label -d 'For add and rewrap: a note shown by list.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from key' -l vault-path -d 'Folder of the vault.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from key' -l vault-encryption -d 'Whether the vault asks for a secret; off keeps the key beside the data.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from key' -l vault-passphrase-file -d 'File that holds the vault\'s passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from key' -l vault-passphrase-command -d 'Shell command that prints the vault\'s passphrase.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from key' -l vault-recovery-key-file -d 'File that holds the recovery key; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from key' -l vault-identity-file -d 'File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from vault; and __fish_seen_subcommand_from key' -a 'list add remove rewrap rotate'
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l label -d 'What the backup is called in lists. Default: its tier.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l tier -d 'For which tier of retention it is taken; `lifeboat prune` never removes a manual one because of a newer one.' -x -a 'hourly daily weekly manual'
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l checkpoint -d 'Goes before --backup-checkpoint.' -x -a 'fast spread'
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l full -d 'Store every page, also those that an earlier backup has.'
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l adopt-system -d 'Take it although the vault holds backups of another system, for example after pg_upgrade.'
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l server-host -d 'Host name, address, or the folder of the server\'s Unix socket.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l server-port -d 'Port of the server.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l server-user -d 'Role to log in as; it needs REPLICATION.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l server-database -d 'Database for ordinary queries.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l server-password-file -d 'File that holds the password of the role.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l server-password-command -d 'Shell command that prints the password.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l server-tls -d 'Encryption of the connection, as in libpq\'s sslmode.' -x -a 'verify-full require disable'
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l server-ca-file -d 'Certificates that may sign the server\'s, for verify-full.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l server-connect-timeout -d 'How long a connection may take to open.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l vault-path -d 'Folder of the vault.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l vault-encryption -d 'Whether the vault asks for a secret; off keeps the key beside the data.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l vault-passphrase-file -d 'File that holds the vault\'s passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l vault-passphrase-command -d 'Shell command that prints the vault\'s passphrase.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l vault-recovery-key-file -d 'File that holds the recovery key; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l vault-identity-file -d 'File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l receiver-slot -d 'Physical replication slot on the server.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l receiver-application-name -d 'Name of the standby connection, as synchronous_standby_names lists it.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l receiver-status-interval -d 'Longest time between two reports to the server.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l receiver-delay -d 'Hold back every confirmation for so long; only to show what a slow receiver costs.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l backup-checkpoint -d 'fast starts at once and loads the server; spread waits for a gentle checkpoint.' -x -a 'fast spread'
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l backup-compression-level -d 'Zstandard level; above 2 it costs much time and saves little.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l backup-max-rate -d 'Most bytes a second the server may send.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from backup' -l backup-nice -d 'How far a backup stands back for whatever else wants the processors; 0 for not at all.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from backup; and __fish_seen_subcommand_from hold' -l all -d 'Hold everything in the vault.'
complete -c lifeboat -n '__fish_seen_subcommand_from backup; and __fish_seen_subcommand_from hold' -l reason -d 'Why, for whoever finds it held.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from backup; and __fish_seen_subcommand_from hold' -l vault-path -d 'Folder of the vault.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from backup; and __fish_seen_subcommand_from hold' -l vault-encryption -d 'Whether the vault asks for a secret; off keeps the key beside the data.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from backup; and __fish_seen_subcommand_from hold' -l vault-passphrase-file -d 'File that holds the vault\'s passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from backup; and __fish_seen_subcommand_from hold' -l vault-passphrase-command -d 'Shell command that prints the vault\'s passphrase.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from backup; and __fish_seen_subcommand_from hold' -l vault-recovery-key-file -d 'File that holds the recovery key; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from backup; and __fish_seen_subcommand_from hold' -l vault-identity-file -d 'File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from backup; and __fish_seen_subcommand_from release' -l all -d 'Release what `backup hold --all` holds.'
complete -c lifeboat -n '__fish_seen_subcommand_from backup; and __fish_seen_subcommand_from release' -l vault-path -d 'Folder of the vault.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from backup; and __fish_seen_subcommand_from release' -l vault-encryption -d 'Whether the vault asks for a secret; off keeps the key beside the data.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from backup; and __fish_seen_subcommand_from release' -l vault-passphrase-file -d 'File that holds the vault\'s passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from backup; and __fish_seen_subcommand_from release' -l vault-passphrase-command -d 'Shell command that prints the vault\'s passphrase.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from backup; and __fish_seen_subcommand_from release' -l vault-recovery-key-file -d 'File that holds the recovery key; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from backup; and __fish_seen_subcommand_from release' -l vault-identity-file -d 'File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from backups' -l all -d 'Show also what is under way, was cut short, or is about to be deleted.'
complete -c lifeboat -n '__fish_seen_subcommand_from backups' -l vault-path -d 'Folder of the vault.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from backups' -l vault-encryption -d 'Whether the vault asks for a secret; off keeps the key beside the data.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from backups' -l vault-passphrase-file -d 'File that holds the vault\'s passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from backups' -l vault-passphrase-command -d 'Shell command that prints the vault\'s passphrase.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from backups' -l vault-recovery-key-file -d 'File that holds the recovery key; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from backups' -l vault-identity-file -d 'File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from verify' -l depth -d 'How much is shown.' -x -a 'present intact booted checked'
complete -c lifeboat -n '__fish_seen_subcommand_from verify' -l all -d 'Prove every backup, the oldest first.'
complete -c lifeboat -n '__fish_seen_subcommand_from verify' -l system -d 'System identifier. Default: the only one of the vault.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from verify' -l sandbox -d 'Where the sandbox lies. Default: folders.sandbox.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from verify' -l vault-path -d 'Folder of the vault.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from verify' -l vault-encryption -d 'Whether the vault asks for a secret; off keeps the key beside the data.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from verify' -l vault-passphrase-file -d 'File that holds the vault\'s passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from verify' -l vault-passphrase-command -d 'Shell command that prints the vault\'s passphrase.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from verify' -l vault-recovery-key-file -d 'File that holds the recovery key; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from verify' -l vault-identity-file -d 'File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from verify' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from verify' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from verify' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from verify' -l restore-boot-timeout -d 'How long the restored server may take to replay WAL and accept connections.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from verify' -l restore-wal-laid-max -d 'With --boot, and in a proof: most WAL to lay into pg_wal before the start; the rest is fed while the server recovers.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from verify' -l proof-invariants-file -d 'YAML list of queries that must hold in the restored databases; see docs/operating.md.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from verify' -l postgres-bin-dir -d 'Folder of the server\'s programs (postgres, initdb, pg_ctl).' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from verify' -l postgres-run-as -d 'User that servers run as when Lifeboat is started by root.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from prune' -l dry-run -d 'Print the plan and change nothing.'
complete -c lifeboat -n '__fish_seen_subcommand_from prune' -l remove -d 'Let this backup go too, for example a manual one.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from prune' -l vault-path -d 'Folder of the vault.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from prune' -l vault-encryption -d 'Whether the vault asks for a secret; off keeps the key beside the data.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from prune' -l vault-passphrase-file -d 'File that holds the vault\'s passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from prune' -l vault-passphrase-command -d 'Shell command that prints the vault\'s passphrase.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from prune' -l vault-recovery-key-file -d 'File that holds the recovery key; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from prune' -l vault-identity-file -d 'File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from prune' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from prune' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from prune' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from prune' -l retention-hourly -d 'In how many hours the newest backup is kept.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from prune' -l retention-daily -d 'In how many days the newest backup is kept.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from prune' -l retention-weekly -d 'In how many weeks the newest backup is kept.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from prune' -l retention-manual-days -d 'After how many days manual backups go.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from prune' -l retention-grace -d 'How long a backup that is to go can be brought back.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from points' -l vault-path -d 'Folder of the vault.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from points' -l vault-encryption -d 'Whether the vault asks for a secret; off keeps the key beside the data.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from points' -l vault-passphrase-file -d 'File that holds the vault\'s passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from points' -l vault-passphrase-command -d 'Shell command that prints the vault\'s passphrase.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from points' -l vault-recovery-key-file -d 'File that holds the recovery key; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from points' -l vault-identity-file -d 'File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from points' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from points' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from points' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from receive' -l server-host -d 'Host name, address, or the folder of the server\'s Unix socket.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from receive' -l server-port -d 'Port of the server.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from receive' -l server-user -d 'Role to log in as; it needs REPLICATION.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from receive' -l server-database -d 'Database for ordinary queries.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from receive' -l server-password-file -d 'File that holds the password of the role.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from receive' -l server-password-command -d 'Shell command that prints the password.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from receive' -l server-tls -d 'Encryption of the connection, as in libpq\'s sslmode.' -x -a 'verify-full require disable'
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from receive' -l server-ca-file -d 'Certificates that may sign the server\'s, for verify-full.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from receive' -l server-connect-timeout -d 'How long a connection may take to open.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from receive' -l vault-path -d 'Folder of the vault.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from receive' -l vault-encryption -d 'Whether the vault asks for a secret; off keeps the key beside the data.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from receive' -l vault-passphrase-file -d 'File that holds the vault\'s passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from receive' -l vault-passphrase-command -d 'Shell command that prints the vault\'s passphrase.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from receive' -l vault-recovery-key-file -d 'File that holds the recovery key; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from receive' -l vault-identity-file -d 'File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from receive' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from receive' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from receive' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from receive' -l receiver-slot -d 'Physical replication slot on the server.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from receive' -l receiver-application-name -d 'Name of the standby connection, as synchronous_standby_names lists it.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from receive' -l receiver-status-interval -d 'Longest time between two reports to the server.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from receive' -l receiver-delay -d 'Hold back every confirmation for so long; only to show what a slow receiver costs.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from status' -l server-host -d 'Host name, address, or the folder of the server\'s Unix socket.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from status' -l server-port -d 'Port of the server.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from status' -l server-user -d 'Role to log in as; it needs REPLICATION.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from status' -l server-database -d 'Database for ordinary queries.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from status' -l server-password-file -d 'File that holds the password of the role.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from status' -l server-password-command -d 'Shell command that prints the password.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from status' -l server-tls -d 'Encryption of the connection, as in libpq\'s sslmode.' -x -a 'verify-full require disable'
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from status' -l server-ca-file -d 'Certificates that may sign the server\'s, for verify-full.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from status' -l server-connect-timeout -d 'How long a connection may take to open.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from status' -l vault-path -d 'Folder of the vault.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from status' -l vault-encryption -d 'Whether the vault asks for a secret; off keeps the key beside the data.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from status' -l vault-passphrase-file -d 'File that holds the vault\'s passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from status' -l vault-passphrase-command -d 'Shell command that prints the vault\'s passphrase.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from status' -l vault-recovery-key-file -d 'File that holds the recovery key; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from status' -l vault-identity-file -d 'File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from status' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from status' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from status' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from status' -l receiver-slot -d 'Physical replication slot on the server.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from status' -l receiver-application-name -d 'Name of the standby connection, as synchronous_standby_names lists it.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from status' -l receiver-status-interval -d 'Longest time between two reports to the server.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from status' -l receiver-delay -d 'Hold back every confirmation for so long; only to show what a slow receiver costs.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from get' -l mode -d 'Who asks: a restore or a standby.' -x -a 'restore standby'
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from get' -l system -d 'System identifier. Default: the only one of the vault; naming it spares a listing of the whole vault for each file.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from get' -l vault-path -d 'Folder of the vault.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from get' -l vault-encryption -d 'Whether the vault asks for a secret; off keeps the key beside the data.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from get' -l vault-passphrase-file -d 'File that holds the vault\'s passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from get' -l vault-passphrase-command -d 'Shell command that prints the vault\'s passphrase.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from get' -l vault-recovery-key-file -d 'File that holds the recovery key; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from get' -l vault-identity-file -d 'File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from get' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from get' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from get' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from get' -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from feed' -l target -d 'The restored data directory.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from feed' -l vault-path -d 'Folder of the vault.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from feed' -l vault-encryption -d 'Whether the vault asks for a secret; off keeps the key beside the data.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from feed' -l vault-passphrase-file -d 'File that holds the vault\'s passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from feed' -l vault-passphrase-command -d 'Shell command that prints the vault\'s passphrase.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from feed' -l vault-recovery-key-file -d 'File that holds the recovery key; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from feed' -l vault-identity-file -d 'File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from feed' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from feed' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from wal; and __fish_seen_subcommand_from feed' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l target -d 'Folder for the restored data directory: empty or not there.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l to -d 'How far to recover. Default: latest, or what another --to says.' -x -a 'latest time lsn xid name immediate'
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l to-time -d 'Recover all that was committed up to this moment, and nothing after it.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l to-lsn -d 'Recover up to this position in the WAL.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l to-xid -d 'Recover up to the end of this transaction; others may have ended before it.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l to-name -d 'Recover up to this restore point, made with pg_create_restore_point().' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l immediate -d 'Recover until the backup is consistent, and no further.'
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l exclusive -d 'With --to-time, --to-lsn or --to-xid: stop just before it instead of just after.'
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l timeline -d 'Timeline to follow. Default: latest, the newest that grew out of the backup\'s own.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l backup -d 'Start from this backup. Default: the newest that serves, with no failed proof.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l system -d 'System identifier. Default: the only one of the vault.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l delta -d 'Into the data directory of a stopped server: keep what is equal, overwrite or remove the rest.'
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l give-up-commits -d 'With --delta: give up commits that only the folder has, knowingly.'
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l accept-gap -d 'Where WAL is missing, restore to the last position before the hole, knowingly.'
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l tablespace -d 'Where tablespaces go, by their OID.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l tablespaces-under -d 'Where tablespaces go that --tablespace does not name, one folder each.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l dry-run -d 'Print the plan and change nothing.'
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l boot -d 'Start the restored server and wait for it.'
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l port -d 'Port of the started server. Default: a free one.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l vault-path -d 'Folder of the vault.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l vault-encryption -d 'Whether the vault asks for a secret; off keeps the key beside the data.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l vault-passphrase-file -d 'File that holds the vault\'s passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l vault-passphrase-command -d 'Shell command that prints the vault\'s passphrase.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l vault-recovery-key-file -d 'File that holds the recovery key; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l vault-identity-file -d 'File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l restore-boot-timeout -d 'How long the restored server may take to replay WAL and accept connections.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l restore-wal-laid-max -d 'With --boot, and in a proof: most WAL to lay into pg_wal before the start; the rest is fed while the server recovers.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l postgres-bin-dir -d 'Folder of the server\'s programs (postgres, initdb, pg_ctl).' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from restore' -l postgres-run-as -d 'User that servers run as when Lifeboat is started by root.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l rate -d 'Writes per second.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l reads -d 'Reads of acknowledged rows per second.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l seconds -d 'How long.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l lanes -d 'Connections.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l queue-deadline -d 'How long an operation may wait for a connection; then it has failed, and was never sent.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l answer-deadline -d 'How long a sent operation may go without an answer; then a write is unknown, a read has failed.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l ledger -d 'The ledger; must not exist. Default: a new file below folders.state.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l keep -d 'Leave the rows and the ledger.'
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l host -d 'Server or pooler. Default: 127.0.0.1.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l port -d 'Its port. Default: that of the stack\'s PgBouncer.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l user -d 'Role. Default: the application\'s of the stack, with its password.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l database -d 'Database. Default: the stack\'s.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l password-file -d 'File with the role\'s password, when --user is given.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-name -d 'Name of the stack; its folder is stacks/<name> below folders.state.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-postgres-major -d 'Major version of its PostgreSQL.' -x -a '15 16 17 18'
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-database -d 'Database of the application.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-application-role -d 'Role of the application; it owns the database.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-durability -d 'Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.' -x -a 'async quorum strict'
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-daemon -d 'Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-service -d 'Whether `lifeboat up` starts the service: the catalogue\'s API behind the balancer, the MCP service and the scraper-scheduler.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-feeds -d 'What the scraper-scheduler reads beside sources in the database: the feeds of eight made-up merchants, or nothing.' -x -a 'made-up none'
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-front-port -d 'The balancer\'s port, which leads to the API.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-mcp-port -d 'Port of the MCP service.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-read-port -d 'The balancer\'s port that leads to a server to read from.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-db-port -d 'Port of the primary.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-replica-port -d 'Port of the replica.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-pooler-port -d 'Port of PgBouncer.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-redis-port -d 'Port of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-api -d 'Instances of an API that others run, as host:port with commas between: the front leads to them, too.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-private-webhooks -d 'Whether webhooks may lead to this machine and to private networks: whoever has a key then has the API call them.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-trusted-proxies -d 'Networks of proxies before the front and the MCP service: what these say in X-Forwarded-For is believed.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-max-connections -d 'Connections a node takes (max_connections).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-shared-buffers -d 'Memory of a node for pages (shared_buffers).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-slot-wal-max -d 'Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-cache-memory-max -d 'Most memory of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-programs-dir -d 'Folder that is looked into first for redis-server, pgbouncer and haproxy.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from probe' -l stack-cache-policy -d 'What goes when redis\' memory is full.' -x -a 'allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction'
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l host -d 'Server or pooler. Default: 127.0.0.1.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l port -d 'Its port. Default: that of the stack\'s PgBouncer.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l user -d 'Role. Default: the application\'s of the stack, with its password.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l database -d 'Database. Default: the stack\'s.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l password-file -d 'File with the role\'s password, when --user is given.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-name -d 'Name of the stack; its folder is stacks/<name> below folders.state.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-postgres-major -d 'Major version of its PostgreSQL.' -x -a '15 16 17 18'
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-database -d 'Database of the application.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-application-role -d 'Role of the application; it owns the database.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-durability -d 'Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.' -x -a 'async quorum strict'
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-daemon -d 'Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-service -d 'Whether `lifeboat up` starts the service: the catalogue\'s API behind the balancer, the MCP service and the scraper-scheduler.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-feeds -d 'What the scraper-scheduler reads beside sources in the database: the feeds of eight made-up merchants, or nothing.' -x -a 'made-up none'
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-front-port -d 'The balancer\'s port, which leads to the API.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-mcp-port -d 'Port of the MCP service.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-read-port -d 'The balancer\'s port that leads to a server to read from.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-db-port -d 'Port of the primary.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-replica-port -d 'Port of the replica.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-pooler-port -d 'Port of PgBouncer.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-redis-port -d 'Port of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-api -d 'Instances of an API that others run, as host:port with commas between: the front leads to them, too.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-private-webhooks -d 'Whether webhooks may lead to this machine and to private networks: whoever has a key then has the API call them.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-trusted-proxies -d 'Networks of proxies before the front and the MCP service: what these say in X-Forwarded-For is believed.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-max-connections -d 'Connections a node takes (max_connections).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-shared-buffers -d 'Memory of a node for pages (shared_buffers).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-slot-wal-max -d 'Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-cache-memory-max -d 'Most memory of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-programs-dir -d 'Folder that is looked into first for redis-server, pgbouncer and haproxy.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -l stack-cache-policy -d 'What goes when redis\' memory is full.' -x -a 'allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction'
complete -c lifeboat -n '__fish_seen_subcommand_from probe; and __fish_seen_subcommand_from read-back' -F
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l ports -d 'The configured ports, or free ones, which are recorded and stay.' -x -a 'described auto'
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l install -d 'As root on Debian, install missing programs (redis, PgBouncer, HAProxy) without asking.'
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l dry-run -d 'Print the plan and change nothing.'
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-name -d 'Name of the stack; its folder is stacks/<name> below folders.state.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-postgres-major -d 'Major version of its PostgreSQL.' -x -a '15 16 17 18'
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-database -d 'Database of the application.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-application-role -d 'Role of the application; it owns the database.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-durability -d 'Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.' -x -a 'async quorum strict'
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-daemon -d 'Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-service -d 'Whether `lifeboat up` starts the service: the catalogue\'s API behind the balancer, the MCP service and the scraper-scheduler.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-feeds -d 'What the scraper-scheduler reads beside sources in the database: the feeds of eight made-up merchants, or nothing.' -x -a 'made-up none'
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-front-port -d 'The balancer\'s port, which leads to the API.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-mcp-port -d 'Port of the MCP service.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-read-port -d 'The balancer\'s port that leads to a server to read from.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-db-port -d 'Port of the primary.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-replica-port -d 'Port of the replica.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-pooler-port -d 'Port of PgBouncer.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-redis-port -d 'Port of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-api -d 'Instances of an API that others run, as host:port with commas between: the front leads to them, too.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-private-webhooks -d 'Whether webhooks may lead to this machine and to private networks: whoever has a key then has the API call them.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-trusted-proxies -d 'Networks of proxies before the front and the MCP service: what these say in X-Forwarded-For is believed.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-max-connections -d 'Connections a node takes (max_connections).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-shared-buffers -d 'Memory of a node for pages (shared_buffers).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-slot-wal-max -d 'Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-cache-memory-max -d 'Most memory of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-programs-dir -d 'Folder that is looked into first for redis-server, pgbouncer and haproxy.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l stack-cache-policy -d 'What goes when redis\' memory is full.' -x -a 'allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction'
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l failover-automatic -d 'Whether a dead primary is replaced without asking. Never without proof that nothing acknowledged is lost, so never in async.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l failover-silent-after -d 'A server that does not answer counts as gone after this: what tells frozen from slow.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l failover-refused-after -d 'A machine that answers and on whose port nobody listens counts as a dead server after this.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l failover-starting-after -d 'A server that restarts after a crash of its own is given this long.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l failover-stuck-after -d 'A server that takes sessions and finishes no write counts as gone after this.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l failover-disk-full -d 'When the primary\'s disk is full: wait for a person, or move to a node with room.' -x -a 'hold failover'
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l failover-webhook -d 'Told of every failover, as JSON by POST.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l failover-hook-command -d 'Shell command run for every event: JSON on its input, the kind in LIFEBOAT_EVENT.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l failover-etcd-endpoints -d 'etcd that grants the right to act, for controllers on several machines; URLs with commas between.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l failover-etcd-prefix -d 'Where its keys lie in etcd.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l failover-etcd-ttl -d 'How long others wait for a controller that is gone, in whole seconds; an orderly stop of a node must fit in.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l postgres-bin-dir -d 'Folder of the server\'s programs (postgres, initdb, pg_ctl).' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from up' -l postgres-run-as -d 'User that servers run as when Lifeboat is started by root.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-name -d 'Name of the stack; its folder is stacks/<name> below folders.state.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-postgres-major -d 'Major version of its PostgreSQL.' -x -a '15 16 17 18'
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-database -d 'Database of the application.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-application-role -d 'Role of the application; it owns the database.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-durability -d 'Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.' -x -a 'async quorum strict'
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-daemon -d 'Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-service -d 'Whether `lifeboat up` starts the service: the catalogue\'s API behind the balancer, the MCP service and the scraper-scheduler.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-feeds -d 'What the scraper-scheduler reads beside sources in the database: the feeds of eight made-up merchants, or nothing.' -x -a 'made-up none'
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-front-port -d 'The balancer\'s port, which leads to the API.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-mcp-port -d 'Port of the MCP service.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-read-port -d 'The balancer\'s port that leads to a server to read from.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-db-port -d 'Port of the primary.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-replica-port -d 'Port of the replica.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-pooler-port -d 'Port of PgBouncer.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-redis-port -d 'Port of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-api -d 'Instances of an API that others run, as host:port with commas between: the front leads to them, too.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-private-webhooks -d 'Whether webhooks may lead to this machine and to private networks: whoever has a key then has the API call them.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-trusted-proxies -d 'Networks of proxies before the front and the MCP service: what these say in X-Forwarded-For is believed.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-max-connections -d 'Connections a node takes (max_connections).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-shared-buffers -d 'Memory of a node for pages (shared_buffers).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-slot-wal-max -d 'Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-cache-memory-max -d 'Most memory of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-programs-dir -d 'Folder that is looked into first for redis-server, pgbouncer and haproxy.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from down' -l stack-cache-policy -d 'What goes when redis\' memory is full.' -x -a 'allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction'
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-name -d 'Name of the stack; its folder is stacks/<name> below folders.state.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-postgres-major -d 'Major version of its PostgreSQL.' -x -a '15 16 17 18'
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-database -d 'Database of the application.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-application-role -d 'Role of the application; it owns the database.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-durability -d 'Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.' -x -a 'async quorum strict'
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-daemon -d 'Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-service -d 'Whether `lifeboat up` starts the service: the catalogue\'s API behind the balancer, the MCP service and the scraper-scheduler.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-feeds -d 'What the scraper-scheduler reads beside sources in the database: the feeds of eight made-up merchants, or nothing.' -x -a 'made-up none'
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-front-port -d 'The balancer\'s port, which leads to the API.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-mcp-port -d 'Port of the MCP service.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-read-port -d 'The balancer\'s port that leads to a server to read from.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-db-port -d 'Port of the primary.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-replica-port -d 'Port of the replica.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-pooler-port -d 'Port of PgBouncer.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-redis-port -d 'Port of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-api -d 'Instances of an API that others run, as host:port with commas between: the front leads to them, too.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-private-webhooks -d 'Whether webhooks may lead to this machine and to private networks: whoever has a key then has the API call them.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-trusted-proxies -d 'Networks of proxies before the front and the MCP service: what these say in X-Forwarded-For is believed.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-max-connections -d 'Connections a node takes (max_connections).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-shared-buffers -d 'Memory of a node for pages (shared_buffers).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-slot-wal-max -d 'Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-cache-memory-max -d 'Most memory of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-programs-dir -d 'Folder that is looked into first for redis-server, pgbouncer and haproxy.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from ps' -l stack-cache-policy -d 'What goes when redis\' memory is full.' -x -a 'allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction'
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l follow -d 'Go on with what is written from now on.'
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l lines -d 'How many last lines of each.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-name -d 'Name of the stack; its folder is stacks/<name> below folders.state.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-postgres-major -d 'Major version of its PostgreSQL.' -x -a '15 16 17 18'
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-database -d 'Database of the application.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-application-role -d 'Role of the application; it owns the database.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-durability -d 'Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.' -x -a 'async quorum strict'
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-daemon -d 'Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-service -d 'Whether `lifeboat up` starts the service: the catalogue\'s API behind the balancer, the MCP service and the scraper-scheduler.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-feeds -d 'What the scraper-scheduler reads beside sources in the database: the feeds of eight made-up merchants, or nothing.' -x -a 'made-up none'
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-front-port -d 'The balancer\'s port, which leads to the API.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-mcp-port -d 'Port of the MCP service.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-read-port -d 'The balancer\'s port that leads to a server to read from.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-db-port -d 'Port of the primary.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-replica-port -d 'Port of the replica.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-pooler-port -d 'Port of PgBouncer.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-redis-port -d 'Port of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-api -d 'Instances of an API that others run, as host:port with commas between: the front leads to them, too.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-private-webhooks -d 'Whether webhooks may lead to this machine and to private networks: whoever has a key then has the API call them.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-trusted-proxies -d 'Networks of proxies before the front and the MCP service: what these say in X-Forwarded-For is believed.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-max-connections -d 'Connections a node takes (max_connections).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-shared-buffers -d 'Memory of a node for pages (shared_buffers).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-slot-wal-max -d 'Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-cache-memory-max -d 'Most memory of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-programs-dir -d 'Folder that is looked into first for redis-server, pgbouncer and haproxy.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -l stack-cache-policy -d 'What goes when redis\' memory is full.' -x -a 'allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction'
complete -c lifeboat -n '__fish_seen_subcommand_from logs' -a 'db receiver db_replica redis pgbouncer pooler_watch api haproxy mcp scraper-scheduler daemon supervisor'
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l accept-outage -d 'Restart the primary without asking: writes are interrupted.'
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-name -d 'Name of the stack; its folder is stacks/<name> below folders.state.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-postgres-major -d 'Major version of its PostgreSQL.' -x -a '15 16 17 18'
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-database -d 'Database of the application.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-application-role -d 'Role of the application; it owns the database.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-durability -d 'Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.' -x -a 'async quorum strict'
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-daemon -d 'Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-service -d 'Whether `lifeboat up` starts the service: the catalogue\'s API behind the balancer, the MCP service and the scraper-scheduler.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-feeds -d 'What the scraper-scheduler reads beside sources in the database: the feeds of eight made-up merchants, or nothing.' -x -a 'made-up none'
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-front-port -d 'The balancer\'s port, which leads to the API.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-mcp-port -d 'Port of the MCP service.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-read-port -d 'The balancer\'s port that leads to a server to read from.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-db-port -d 'Port of the primary.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-replica-port -d 'Port of the replica.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-pooler-port -d 'Port of PgBouncer.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-redis-port -d 'Port of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-api -d 'Instances of an API that others run, as host:port with commas between: the front leads to them, too.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-private-webhooks -d 'Whether webhooks may lead to this machine and to private networks: whoever has a key then has the API call them.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-trusted-proxies -d 'Networks of proxies before the front and the MCP service: what these say in X-Forwarded-For is believed.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-max-connections -d 'Connections a node takes (max_connections).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-shared-buffers -d 'Memory of a node for pages (shared_buffers).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-slot-wal-max -d 'Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-cache-memory-max -d 'Most memory of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-programs-dir -d 'Folder that is looked into first for redis-server, pgbouncer and haproxy.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -l stack-cache-policy -d 'What goes when redis\' memory is full.' -x -a 'allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction'
complete -c lifeboat -n '__fish_seen_subcommand_from restart' -a 'db receiver db_replica redis pgbouncer pooler_watch api haproxy mcp scraper-scheduler daemon'
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-name -d 'Name of the stack; its folder is stacks/<name> below folders.state.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-postgres-major -d 'Major version of its PostgreSQL.' -x -a '15 16 17 18'
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-database -d 'Database of the application.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-application-role -d 'Role of the application; it owns the database.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-durability -d 'Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.' -x -a 'async quorum strict'
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-daemon -d 'Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-service -d 'Whether `lifeboat up` starts the service: the catalogue\'s API behind the balancer, the MCP service and the scraper-scheduler.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-feeds -d 'What the scraper-scheduler reads beside sources in the database: the feeds of eight made-up merchants, or nothing.' -x -a 'made-up none'
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-front-port -d 'The balancer\'s port, which leads to the API.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-mcp-port -d 'Port of the MCP service.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-read-port -d 'The balancer\'s port that leads to a server to read from.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-db-port -d 'Port of the primary.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-replica-port -d 'Port of the replica.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-pooler-port -d 'Port of PgBouncer.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-redis-port -d 'Port of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-api -d 'Instances of an API that others run, as host:port with commas between: the front leads to them, too.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-private-webhooks -d 'Whether webhooks may lead to this machine and to private networks: whoever has a key then has the API call them.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-trusted-proxies -d 'Networks of proxies before the front and the MCP service: what these say in X-Forwarded-For is believed.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-max-connections -d 'Connections a node takes (max_connections).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-shared-buffers -d 'Memory of a node for pages (shared_buffers).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-slot-wal-max -d 'Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-cache-memory-max -d 'Most memory of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-programs-dir -d 'Folder that is looked into first for redis-server, pgbouncer and haproxy.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l stack-cache-policy -d 'What goes when redis\' memory is full.' -x -a 'allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction'
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l postgres-bin-dir -d 'Folder of the server\'s programs (postgres, initdb, pg_ctl).' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -l postgres-run-as -d 'User that servers run as when Lifeboat is started by root.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from scale' -a 'pgbouncer api'
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l timeout -d 'How long it may take before it is killed.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-name -d 'Name of the stack; its folder is stacks/<name> below folders.state.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-postgres-major -d 'Major version of its PostgreSQL.' -x -a '15 16 17 18'
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-database -d 'Database of the application.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-application-role -d 'Role of the application; it owns the database.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-durability -d 'Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.' -x -a 'async quorum strict'
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-daemon -d 'Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-service -d 'Whether `lifeboat up` starts the service: the catalogue\'s API behind the balancer, the MCP service and the scraper-scheduler.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-feeds -d 'What the scraper-scheduler reads beside sources in the database: the feeds of eight made-up merchants, or nothing.' -x -a 'made-up none'
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-front-port -d 'The balancer\'s port, which leads to the API.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-mcp-port -d 'Port of the MCP service.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-read-port -d 'The balancer\'s port that leads to a server to read from.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-db-port -d 'Port of the primary.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-replica-port -d 'Port of the replica.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-pooler-port -d 'Port of PgBouncer.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-redis-port -d 'Port of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-api -d 'Instances of an API that others run, as host:port with commas between: the front leads to them, too.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-private-webhooks -d 'Whether webhooks may lead to this machine and to private networks: whoever has a key then has the API call them.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-trusted-proxies -d 'Networks of proxies before the front and the MCP service: what these say in X-Forwarded-For is believed.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-max-connections -d 'Connections a node takes (max_connections).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-shared-buffers -d 'Memory of a node for pages (shared_buffers).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-slot-wal-max -d 'Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-cache-memory-max -d 'Most memory of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-programs-dir -d 'Folder that is looked into first for redis-server, pgbouncer and haproxy.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -l stack-cache-policy -d 'What goes when redis\' memory is full.' -x -a 'allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction'
complete -c lifeboat -n '__fish_seen_subcommand_from exec' -a 'db receiver db_replica redis pgbouncer pooler_watch api haproxy mcp scraper-scheduler daemon'
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l yes -d 'Accept without being asked what a lower mode means.'
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l force -d 'Also a mode for which too few confirm now, and while the receiver is withdrawn; never while a failover or switchover that is recorded has not ended.'
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-name -d 'Name of the stack; its folder is stacks/<name> below folders.state.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-postgres-major -d 'Major version of its PostgreSQL.' -x -a '15 16 17 18'
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-database -d 'Database of the application.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-application-role -d 'Role of the application; it owns the database.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-durability -d 'Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.' -x -a 'async quorum strict'
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-daemon -d 'Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-service -d 'Whether `lifeboat up` starts the service: the catalogue\'s API behind the balancer, the MCP service and the scraper-scheduler.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-feeds -d 'What the scraper-scheduler reads beside sources in the database: the feeds of eight made-up merchants, or nothing.' -x -a 'made-up none'
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-front-port -d 'The balancer\'s port, which leads to the API.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-mcp-port -d 'Port of the MCP service.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-read-port -d 'The balancer\'s port that leads to a server to read from.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-db-port -d 'Port of the primary.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-replica-port -d 'Port of the replica.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-pooler-port -d 'Port of PgBouncer.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-redis-port -d 'Port of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-api -d 'Instances of an API that others run, as host:port with commas between: the front leads to them, too.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-private-webhooks -d 'Whether webhooks may lead to this machine and to private networks: whoever has a key then has the API call them.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-trusted-proxies -d 'Networks of proxies before the front and the MCP service: what these say in X-Forwarded-For is believed.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-max-connections -d 'Connections a node takes (max_connections).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-shared-buffers -d 'Memory of a node for pages (shared_buffers).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-slot-wal-max -d 'Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-cache-memory-max -d 'Most memory of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-programs-dir -d 'Folder that is looked into first for redis-server, pgbouncer and haproxy.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l stack-cache-policy -d 'What goes when redis\' memory is full.' -x -a 'allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction'
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l failover-automatic -d 'Whether a dead primary is replaced without asking. Never without proof that nothing acknowledged is lost, so never in async.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l failover-silent-after -d 'A server that does not answer counts as gone after this: what tells frozen from slow.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l failover-refused-after -d 'A machine that answers and on whose port nobody listens counts as a dead server after this.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l failover-starting-after -d 'A server that restarts after a crash of its own is given this long.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l failover-stuck-after -d 'A server that takes sessions and finishes no write counts as gone after this.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l failover-disk-full -d 'When the primary\'s disk is full: wait for a person, or move to a node with room.' -x -a 'hold failover'
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l failover-webhook -d 'Told of every failover, as JSON by POST.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l failover-hook-command -d 'Shell command run for every event: JSON on its input, the kind in LIFEBOAT_EVENT.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l failover-etcd-endpoints -d 'etcd that grants the right to act, for controllers on several machines; URLs with commas between.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l failover-etcd-prefix -d 'Where its keys lie in etcd.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l failover-etcd-ttl -d 'How long others wait for a controller that is gone, in whole seconds; an orderly stop of a node must fit in.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l postgres-bin-dir -d 'Folder of the server\'s programs (postgres, initdb, pg_ctl).' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -l postgres-run-as -d 'User that servers run as when Lifeboat is started by root.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from durability' -a 'async quorum strict'
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l once -d 'Look once; waits up to a second for a heartbeat to arrive.'
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l interval -d 'Time between two looks.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l metrics -d 'Write each look to this file, for the node exporter\'s textfile collector.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l replication-lag-max -d 'A replica that has not replayed for so long is wrong, and a receiver that has not synced; by heartbeat.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l replication-lag-bytes-max -d 'So much WAL that is not replayed, or not synced, is wrong.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-name -d 'Name of the stack; its folder is stacks/<name> below folders.state.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-postgres-major -d 'Major version of its PostgreSQL.' -x -a '15 16 17 18'
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-database -d 'Database of the application.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-application-role -d 'Role of the application; it owns the database.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-durability -d 'Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.' -x -a 'async quorum strict'
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-daemon -d 'Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-service -d 'Whether `lifeboat up` starts the service: the catalogue\'s API behind the balancer, the MCP service and the scraper-scheduler.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-feeds -d 'What the scraper-scheduler reads beside sources in the database: the feeds of eight made-up merchants, or nothing.' -x -a 'made-up none'
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-front-port -d 'The balancer\'s port, which leads to the API.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-mcp-port -d 'Port of the MCP service.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-read-port -d 'The balancer\'s port that leads to a server to read from.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-db-port -d 'Port of the primary.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-replica-port -d 'Port of the replica.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-pooler-port -d 'Port of PgBouncer.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-redis-port -d 'Port of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-api -d 'Instances of an API that others run, as host:port with commas between: the front leads to them, too.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-private-webhooks -d 'Whether webhooks may lead to this machine and to private networks: whoever has a key then has the API call them.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-trusted-proxies -d 'Networks of proxies before the front and the MCP service: what these say in X-Forwarded-For is believed.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-max-connections -d 'Connections a node takes (max_connections).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-shared-buffers -d 'Memory of a node for pages (shared_buffers).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-slot-wal-max -d 'Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-cache-memory-max -d 'Most memory of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-programs-dir -d 'Folder that is looked into first for redis-server, pgbouncer and haproxy.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from replication' -l stack-cache-policy -d 'What goes when redis\' memory is full.' -x -a 'allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction'
complete -c lifeboat -n '__fish_seen_subcommand_from pooler; and __fish_seen_subcommand_from status' -l pooler-consoles -d 'Where they listen, as host:port with commas between, the host also the folder of a Unix socket; each process by an address of its own.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from pooler; and __fish_seen_subcommand_from status' -l pooler-password-file -d 'File that holds the password of the role lifeboat_pooler, one of their admin_users.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from pooler; and __fish_seen_subcommand_from status' -l pooler-databases-file -d 'File that their pgbouncer.ini includes and that says where their databases lead.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from pooler; and __fish_seen_subcommand_from resume' -l pooler-consoles -d 'Where they listen, as host:port with commas between, the host also the folder of a Unix socket; each process by an address of its own.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from pooler; and __fish_seen_subcommand_from resume' -l pooler-password-file -d 'File that holds the password of the role lifeboat_pooler, one of their admin_users.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from pooler; and __fish_seen_subcommand_from resume' -l pooler-databases-file -d 'File that their pgbouncer.ini includes and that says where their databases lead.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from pooler; and __fish_seen_subcommand_from watch' -l pooler-consoles -d 'Where they listen, as host:port with commas between, the host also the folder of a Unix socket; each process by an address of its own.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from pooler; and __fish_seen_subcommand_from watch' -l pooler-password-file -d 'File that holds the password of the role lifeboat_pooler, one of their admin_users.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from pooler; and __fish_seen_subcommand_from watch' -l pooler-databases-file -d 'File that their pgbouncer.ini includes and that says where their databases lead.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l check-only -d 'Look and decide, and change nothing.'
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l follow -d 'With --check-only: go on, and tell every other decision.'
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l promote -d 'Replace the primary, which must be gone.'
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l adopt -d 'Of two primaries have this one stay, as it is: one that somebody promoted by hand, or the recorded one where it is down.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l accept-loss -d 'With --promote: what may be missing afterwards, typed as --check-only states it (for example 8192 bytes, or unknown).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-name -d 'Name of the stack; its folder is stacks/<name> below folders.state.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-postgres-major -d 'Major version of its PostgreSQL.' -x -a '15 16 17 18'
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-database -d 'Database of the application.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-application-role -d 'Role of the application; it owns the database.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-durability -d 'Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.' -x -a 'async quorum strict'
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-daemon -d 'Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-service -d 'Whether `lifeboat up` starts the service: the catalogue\'s API behind the balancer, the MCP service and the scraper-scheduler.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-feeds -d 'What the scraper-scheduler reads beside sources in the database: the feeds of eight made-up merchants, or nothing.' -x -a 'made-up none'
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-front-port -d 'The balancer\'s port, which leads to the API.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-mcp-port -d 'Port of the MCP service.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-read-port -d 'The balancer\'s port that leads to a server to read from.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-db-port -d 'Port of the primary.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-replica-port -d 'Port of the replica.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-pooler-port -d 'Port of PgBouncer.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-redis-port -d 'Port of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-api -d 'Instances of an API that others run, as host:port with commas between: the front leads to them, too.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-private-webhooks -d 'Whether webhooks may lead to this machine and to private networks: whoever has a key then has the API call them.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-trusted-proxies -d 'Networks of proxies before the front and the MCP service: what these say in X-Forwarded-For is believed.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-max-connections -d 'Connections a node takes (max_connections).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-shared-buffers -d 'Memory of a node for pages (shared_buffers).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-slot-wal-max -d 'Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-cache-memory-max -d 'Most memory of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-programs-dir -d 'Folder that is looked into first for redis-server, pgbouncer and haproxy.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l stack-cache-policy -d 'What goes when redis\' memory is full.' -x -a 'allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction'
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l failover-automatic -d 'Whether a dead primary is replaced without asking. Never without proof that nothing acknowledged is lost, so never in async.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l failover-silent-after -d 'A server that does not answer counts as gone after this: what tells frozen from slow.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l failover-refused-after -d 'A machine that answers and on whose port nobody listens counts as a dead server after this.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l failover-starting-after -d 'A server that restarts after a crash of its own is given this long.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l failover-stuck-after -d 'A server that takes sessions and finishes no write counts as gone after this.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l failover-disk-full -d 'When the primary\'s disk is full: wait for a person, or move to a node with room.' -x -a 'hold failover'
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l failover-webhook -d 'Told of every failover, as JSON by POST.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l failover-hook-command -d 'Shell command run for every event: JSON on its input, the kind in LIFEBOAT_EVENT.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l failover-etcd-endpoints -d 'etcd that grants the right to act, for controllers on several machines; URLs with commas between.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l failover-etcd-prefix -d 'Where its keys lie in etcd.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l failover-etcd-ttl -d 'How long others wait for a controller that is gone, in whole seconds; an orderly stop of a node must fit in.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l postgres-bin-dir -d 'Folder of the server\'s programs (postgres, initdb, pg_ctl).' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from failover' -l postgres-run-as -d 'User that servers run as when Lifeboat is started by root.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l reason -d 'Why, for whoever looks.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-name -d 'Name of the stack; its folder is stacks/<name> below folders.state.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-postgres-major -d 'Major version of its PostgreSQL.' -x -a '15 16 17 18'
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-database -d 'Database of the application.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-application-role -d 'Role of the application; it owns the database.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-durability -d 'Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.' -x -a 'async quorum strict'
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-daemon -d 'Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-service -d 'Whether `lifeboat up` starts the service: the catalogue\'s API behind the balancer, the MCP service and the scraper-scheduler.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-feeds -d 'What the scraper-scheduler reads beside sources in the database: the feeds of eight made-up merchants, or nothing.' -x -a 'made-up none'
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-front-port -d 'The balancer\'s port, which leads to the API.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-mcp-port -d 'Port of the MCP service.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-read-port -d 'The balancer\'s port that leads to a server to read from.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-db-port -d 'Port of the primary.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-replica-port -d 'Port of the replica.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-pooler-port -d 'Port of PgBouncer.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-redis-port -d 'Port of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-api -d 'Instances of an API that others run, as host:port with commas between: the front leads to them, too.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-private-webhooks -d 'Whether webhooks may lead to this machine and to private networks: whoever has a key then has the API call them.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-trusted-proxies -d 'Networks of proxies before the front and the MCP service: what these say in X-Forwarded-For is believed.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-max-connections -d 'Connections a node takes (max_connections).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-shared-buffers -d 'Memory of a node for pages (shared_buffers).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-slot-wal-max -d 'Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-cache-memory-max -d 'Most memory of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-programs-dir -d 'Folder that is looked into first for redis-server, pgbouncer and haproxy.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l stack-cache-policy -d 'What goes when redis\' memory is full.' -x -a 'allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction'
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l failover-automatic -d 'Whether a dead primary is replaced without asking. Never without proof that nothing acknowledged is lost, so never in async.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l failover-silent-after -d 'A server that does not answer counts as gone after this: what tells frozen from slow.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l failover-refused-after -d 'A machine that answers and on whose port nobody listens counts as a dead server after this.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l failover-starting-after -d 'A server that restarts after a crash of its own is given this long.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l failover-stuck-after -d 'A server that takes sessions and finishes no write counts as gone after this.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l failover-disk-full -d 'When the primary\'s disk is full: wait for a person, or move to a node with room.' -x -a 'hold failover'
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l failover-webhook -d 'Told of every failover, as JSON by POST.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l failover-hook-command -d 'Shell command run for every event: JSON on its input, the kind in LIFEBOAT_EVENT.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l failover-etcd-endpoints -d 'etcd that grants the right to act, for controllers on several machines; URLs with commas between.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l failover-etcd-prefix -d 'Where its keys lie in etcd.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l failover-etcd-ttl -d 'How long others wait for a controller that is gone, in whole seconds; an orderly stop of a node must fit in.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l postgres-bin-dir -d 'Folder of the server\'s programs (postgres, initdb, pg_ctl).' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from pause' -l postgres-run-as -d 'User that servers run as when Lifeboat is started by root.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-name -d 'Name of the stack; its folder is stacks/<name> below folders.state.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-postgres-major -d 'Major version of its PostgreSQL.' -x -a '15 16 17 18'
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-database -d 'Database of the application.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-application-role -d 'Role of the application; it owns the database.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-durability -d 'Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.' -x -a 'async quorum strict'
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-daemon -d 'Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-service -d 'Whether `lifeboat up` starts the service: the catalogue\'s API behind the balancer, the MCP service and the scraper-scheduler.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-feeds -d 'What the scraper-scheduler reads beside sources in the database: the feeds of eight made-up merchants, or nothing.' -x -a 'made-up none'
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-front-port -d 'The balancer\'s port, which leads to the API.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-mcp-port -d 'Port of the MCP service.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-read-port -d 'The balancer\'s port that leads to a server to read from.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-db-port -d 'Port of the primary.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-replica-port -d 'Port of the replica.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-pooler-port -d 'Port of PgBouncer.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-redis-port -d 'Port of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-api -d 'Instances of an API that others run, as host:port with commas between: the front leads to them, too.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-private-webhooks -d 'Whether webhooks may lead to this machine and to private networks: whoever has a key then has the API call them.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-trusted-proxies -d 'Networks of proxies before the front and the MCP service: what these say in X-Forwarded-For is believed.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-max-connections -d 'Connections a node takes (max_connections).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-shared-buffers -d 'Memory of a node for pages (shared_buffers).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-slot-wal-max -d 'Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-cache-memory-max -d 'Most memory of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-programs-dir -d 'Folder that is looked into first for redis-server, pgbouncer and haproxy.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l stack-cache-policy -d 'What goes when redis\' memory is full.' -x -a 'allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction'
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l failover-automatic -d 'Whether a dead primary is replaced without asking. Never without proof that nothing acknowledged is lost, so never in async.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l failover-silent-after -d 'A server that does not answer counts as gone after this: what tells frozen from slow.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l failover-refused-after -d 'A machine that answers and on whose port nobody listens counts as a dead server after this.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l failover-starting-after -d 'A server that restarts after a crash of its own is given this long.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l failover-stuck-after -d 'A server that takes sessions and finishes no write counts as gone after this.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l failover-disk-full -d 'When the primary\'s disk is full: wait for a person, or move to a node with room.' -x -a 'hold failover'
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l failover-webhook -d 'Told of every failover, as JSON by POST.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l failover-hook-command -d 'Shell command run for every event: JSON on its input, the kind in LIFEBOAT_EVENT.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l failover-etcd-endpoints -d 'etcd that grants the right to act, for controllers on several machines; URLs with commas between.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l failover-etcd-prefix -d 'Where its keys lie in etcd.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l failover-etcd-ttl -d 'How long others wait for a controller that is gone, in whole seconds; an orderly stop of a node must fit in.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l postgres-bin-dir -d 'Folder of the server\'s programs (postgres, initdb, pg_ctl).' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from failover; and __fish_seen_subcommand_from resume' -l postgres-run-as -d 'User that servers run as when Lifeboat is started by root.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l to -d 'The node that becomes the primary.' -x -a 'db db_replica'
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l dry-run -d 'Look, print the plan, and change nothing.'
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l accept -d 'What it may cost beside writes, typed as --dry-run states it (for example the names of logical slots, or unknown).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-name -d 'Name of the stack; its folder is stacks/<name> below folders.state.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-postgres-major -d 'Major version of its PostgreSQL.' -x -a '15 16 17 18'
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-database -d 'Database of the application.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-application-role -d 'Role of the application; it owns the database.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-durability -d 'Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.' -x -a 'async quorum strict'
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-daemon -d 'Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-service -d 'Whether `lifeboat up` starts the service: the catalogue\'s API behind the balancer, the MCP service and the scraper-scheduler.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-feeds -d 'What the scraper-scheduler reads beside sources in the database: the feeds of eight made-up merchants, or nothing.' -x -a 'made-up none'
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-front-port -d 'The balancer\'s port, which leads to the API.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-mcp-port -d 'Port of the MCP service.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-read-port -d 'The balancer\'s port that leads to a server to read from.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-db-port -d 'Port of the primary.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-replica-port -d 'Port of the replica.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-pooler-port -d 'Port of PgBouncer.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-redis-port -d 'Port of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-api -d 'Instances of an API that others run, as host:port with commas between: the front leads to them, too.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-private-webhooks -d 'Whether webhooks may lead to this machine and to private networks: whoever has a key then has the API call them.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-trusted-proxies -d 'Networks of proxies before the front and the MCP service: what these say in X-Forwarded-For is believed.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-max-connections -d 'Connections a node takes (max_connections).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-shared-buffers -d 'Memory of a node for pages (shared_buffers).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-slot-wal-max -d 'Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-cache-memory-max -d 'Most memory of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-programs-dir -d 'Folder that is looked into first for redis-server, pgbouncer and haproxy.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l stack-cache-policy -d 'What goes when redis\' memory is full.' -x -a 'allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction'
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l failover-automatic -d 'Whether a dead primary is replaced without asking. Never without proof that nothing acknowledged is lost, so never in async.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l failover-silent-after -d 'A server that does not answer counts as gone after this: what tells frozen from slow.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l failover-refused-after -d 'A machine that answers and on whose port nobody listens counts as a dead server after this.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l failover-starting-after -d 'A server that restarts after a crash of its own is given this long.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l failover-stuck-after -d 'A server that takes sessions and finishes no write counts as gone after this.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l failover-disk-full -d 'When the primary\'s disk is full: wait for a person, or move to a node with room.' -x -a 'hold failover'
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l failover-webhook -d 'Told of every failover, as JSON by POST.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l failover-hook-command -d 'Shell command run for every event: JSON on its input, the kind in LIFEBOAT_EVENT.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l failover-etcd-endpoints -d 'etcd that grants the right to act, for controllers on several machines; URLs with commas between.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l failover-etcd-prefix -d 'Where its keys lie in etcd.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l failover-etcd-ttl -d 'How long others wait for a controller that is gone, in whole seconds; an orderly stop of a node must fit in.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l postgres-bin-dir -d 'Folder of the server\'s programs (postgres, initdb, pg_ctl).' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from switchover' -l postgres-run-as -d 'User that servers run as when Lifeboat is started by root.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l old-data-into -d 'Rebuild nothing: write the data that the node had before, as long as it is kept, into this empty folder.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-name -d 'Name of the stack; its folder is stacks/<name> below folders.state.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-postgres-major -d 'Major version of its PostgreSQL.' -x -a '15 16 17 18'
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-database -d 'Database of the application.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-application-role -d 'Role of the application; it owns the database.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-durability -d 'Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.' -x -a 'async quorum strict'
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-daemon -d 'Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-service -d 'Whether `lifeboat up` starts the service: the catalogue\'s API behind the balancer, the MCP service and the scraper-scheduler.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-feeds -d 'What the scraper-scheduler reads beside sources in the database: the feeds of eight made-up merchants, or nothing.' -x -a 'made-up none'
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-front-port -d 'The balancer\'s port, which leads to the API.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-mcp-port -d 'Port of the MCP service.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-read-port -d 'The balancer\'s port that leads to a server to read from.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-db-port -d 'Port of the primary.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-replica-port -d 'Port of the replica.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-pooler-port -d 'Port of PgBouncer.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-redis-port -d 'Port of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-api -d 'Instances of an API that others run, as host:port with commas between: the front leads to them, too.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-private-webhooks -d 'Whether webhooks may lead to this machine and to private networks: whoever has a key then has the API call them.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-trusted-proxies -d 'Networks of proxies before the front and the MCP service: what these say in X-Forwarded-For is believed.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-max-connections -d 'Connections a node takes (max_connections).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-shared-buffers -d 'Memory of a node for pages (shared_buffers).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-slot-wal-max -d 'Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-cache-memory-max -d 'Most memory of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-programs-dir -d 'Folder that is looked into first for redis-server, pgbouncer and haproxy.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l stack-cache-policy -d 'What goes when redis\' memory is full.' -x -a 'allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction'
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l failover-automatic -d 'Whether a dead primary is replaced without asking. Never without proof that nothing acknowledged is lost, so never in async.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l failover-silent-after -d 'A server that does not answer counts as gone after this: what tells frozen from slow.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l failover-refused-after -d 'A machine that answers and on whose port nobody listens counts as a dead server after this.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l failover-starting-after -d 'A server that restarts after a crash of its own is given this long.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l failover-stuck-after -d 'A server that takes sessions and finishes no write counts as gone after this.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l failover-disk-full -d 'When the primary\'s disk is full: wait for a person, or move to a node with room.' -x -a 'hold failover'
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l failover-webhook -d 'Told of every failover, as JSON by POST.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l failover-hook-command -d 'Shell command run for every event: JSON on its input, the kind in LIFEBOAT_EVENT.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l failover-etcd-endpoints -d 'etcd that grants the right to act, for controllers on several machines; URLs with commas between.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l failover-etcd-prefix -d 'Where its keys lie in etcd.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l failover-etcd-ttl -d 'How long others wait for a controller that is gone, in whole seconds; an orderly stop of a node must fit in.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l postgres-bin-dir -d 'Folder of the server\'s programs (postgres, initdb, pg_ctl).' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -l postgres-run-as -d 'User that servers run as when Lifeboat is started by root.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from rebuild' -a 'db db_replica'
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stand-by -d 'Where another daemon controls the stack, wait, do nothing, and take its place when it ends.'
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-name -d 'Name of the stack; its folder is stacks/<name> below folders.state.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-postgres-major -d 'Major version of its PostgreSQL.' -x -a '15 16 17 18'
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-database -d 'Database of the application.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-application-role -d 'Role of the application; it owns the database.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-durability -d 'Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.' -x -a 'async quorum strict'
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-daemon -d 'Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-service -d 'Whether `lifeboat up` starts the service: the catalogue\'s API behind the balancer, the MCP service and the scraper-scheduler.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-feeds -d 'What the scraper-scheduler reads beside sources in the database: the feeds of eight made-up merchants, or nothing.' -x -a 'made-up none'
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-front-port -d 'The balancer\'s port, which leads to the API.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-mcp-port -d 'Port of the MCP service.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-read-port -d 'The balancer\'s port that leads to a server to read from.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-db-port -d 'Port of the primary.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-replica-port -d 'Port of the replica.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-pooler-port -d 'Port of PgBouncer.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-redis-port -d 'Port of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-api -d 'Instances of an API that others run, as host:port with commas between: the front leads to them, too.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-private-webhooks -d 'Whether webhooks may lead to this machine and to private networks: whoever has a key then has the API call them.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-trusted-proxies -d 'Networks of proxies before the front and the MCP service: what these say in X-Forwarded-For is believed.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-max-connections -d 'Connections a node takes (max_connections).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-shared-buffers -d 'Memory of a node for pages (shared_buffers).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-slot-wal-max -d 'Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-cache-memory-max -d 'Most memory of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-programs-dir -d 'Folder that is looked into first for redis-server, pgbouncer and haproxy.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l stack-cache-policy -d 'What goes when redis\' memory is full.' -x -a 'allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction'
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l failover-automatic -d 'Whether a dead primary is replaced without asking. Never without proof that nothing acknowledged is lost, so never in async.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l failover-silent-after -d 'A server that does not answer counts as gone after this: what tells frozen from slow.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l failover-refused-after -d 'A machine that answers and on whose port nobody listens counts as a dead server after this.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l failover-starting-after -d 'A server that restarts after a crash of its own is given this long.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l failover-stuck-after -d 'A server that takes sessions and finishes no write counts as gone after this.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l failover-disk-full -d 'When the primary\'s disk is full: wait for a person, or move to a node with room.' -x -a 'hold failover'
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l failover-webhook -d 'Told of every failover, as JSON by POST.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l failover-hook-command -d 'Shell command run for every event: JSON on its input, the kind in LIFEBOAT_EVENT.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l failover-etcd-endpoints -d 'etcd that grants the right to act, for controllers on several machines; URLs with commas between.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l failover-etcd-prefix -d 'Where its keys lie in etcd.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l failover-etcd-ttl -d 'How long others wait for a controller that is gone, in whole seconds; an orderly stop of a node must fit in.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l postgres-bin-dir -d 'Folder of the server\'s programs (postgres, initdb, pg_ctl).' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from daemon' -l postgres-run-as -d 'User that servers run as when Lifeboat is started by root.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from demo' -l size -d 'How much data to make.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from demo' -l seconds -d 'How long the client writes before the disaster, at least.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from demo' -l pg -d 'PostgreSQL\'s major version.' -x -a '15 16 17 18'
complete -c lifeboat -n '__fish_seen_subcommand_from demo' -l durability -d 'quorum: a commit waits for the vault; async: it does not, the receiver is late, and writes will be missing.' -x -a 'quorum async'
complete -c lifeboat -n '__fish_seen_subcommand_from demo' -l keep -d 'Keep the folder, leave the restored servers running, and say how to look around.'
complete -c lifeboat -n '__fish_seen_subcommand_from demo' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from demo' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from demo' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from demo' -l receiver-slot -d 'Physical replication slot on the server.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from demo' -l receiver-application-name -d 'Name of the standby connection, as synchronous_standby_names lists it.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from demo' -l receiver-status-interval -d 'Longest time between two reports to the server.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from demo' -l receiver-delay -d 'Hold back every confirmation for so long; only to show what a slow receiver costs.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from demo' -l restore-boot-timeout -d 'How long the restored server may take to replay WAL and accept connections.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from demo' -l restore-wal-laid-max -d 'With --boot, and in a proof: most WAL to lay into pg_wal before the start; the rest is fed while the server recovers.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from demo' -l postgres-bin-dir -d 'Folder of the server\'s programs (postgres, initdb, pg_ctl).' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from demo' -l postgres-run-as -d 'User that servers run as when Lifeboat is started by root.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l server-host -d 'Host name, address, or the folder of the server\'s Unix socket.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l server-port -d 'Port of the server.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l server-user -d 'Role to log in as; it needs REPLICATION.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l server-database -d 'Database for ordinary queries.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l server-password-file -d 'File that holds the password of the role.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l server-password-command -d 'Shell command that prints the password.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l server-tls -d 'Encryption of the connection, as in libpq\'s sslmode.' -x -a 'verify-full require disable'
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l server-ca-file -d 'Certificates that may sign the server\'s, for verify-full.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l server-connect-timeout -d 'How long a connection may take to open.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l vault-path -d 'Folder of the vault.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l vault-encryption -d 'Whether the vault asks for a secret; off keeps the key beside the data.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l vault-passphrase-file -d 'File that holds the vault\'s passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l vault-passphrase-command -d 'Shell command that prints the vault\'s passphrase.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l vault-recovery-key-file -d 'File that holds the recovery key; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l vault-identity-file -d 'File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l receiver-slot -d 'Physical replication slot on the server.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l receiver-application-name -d 'Name of the standby connection, as synchronous_standby_names lists it.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l receiver-status-interval -d 'Longest time between two reports to the server.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l receiver-delay -d 'Hold back every confirmation for so long; only to show what a slow receiver costs.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l backup-checkpoint -d 'fast starts at once and loads the server; spread waits for a gentle checkpoint.' -x -a 'fast spread'
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l backup-compression-level -d 'Zstandard level; above 2 it costs much time and saves little.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l backup-max-rate -d 'Most bytes a second the server may send.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l backup-nice -d 'How far a backup stands back for whatever else wants the processors; 0 for not at all.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l retention-hourly -d 'In how many hours the newest backup is kept.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l retention-daily -d 'In how many days the newest backup is kept.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l retention-weekly -d 'In how many weeks the newest backup is kept.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l retention-manual-days -d 'After how many days manual backups go.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l retention-grace -d 'How long a backup that is to go can be brought back.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l restore-boot-timeout -d 'How long the restored server may take to replay WAL and accept connections.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l restore-wal-laid-max -d 'With --boot, and in a proof: most WAL to lay into pg_wal before the start; the rest is fed while the server recovers.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l proof-invariants-file -d 'YAML list of queries that must hold in the restored databases; see docs/operating.md.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l status-backup-max-age -d 'A newest backup older than this is wrong; a day and two hours suits one backup a day.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l status-proof-max-age -d 'A newest proof of a restored backup older than this is wrong; eight days suit one proof a week.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l replication-lag-max -d 'A replica that has not replayed for so long is wrong, and a receiver that has not synced; by heartbeat.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l replication-lag-bytes-max -d 'So much WAL that is not replayed, or not synced, is wrong.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-name -d 'Name of the stack; its folder is stacks/<name> below folders.state.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-postgres-major -d 'Major version of its PostgreSQL.' -x -a '15 16 17 18'
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-database -d 'Database of the application.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-application-role -d 'Role of the application; it owns the database.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-durability -d 'Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.' -x -a 'async quorum strict'
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-daemon -d 'Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-service -d 'Whether `lifeboat up` starts the service: the catalogue\'s API behind the balancer, the MCP service and the scraper-scheduler.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-feeds -d 'What the scraper-scheduler reads beside sources in the database: the feeds of eight made-up merchants, or nothing.' -x -a 'made-up none'
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-front-port -d 'The balancer\'s port, which leads to the API.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-mcp-port -d 'Port of the MCP service.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-read-port -d 'The balancer\'s port that leads to a server to read from.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-db-port -d 'Port of the primary.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-replica-port -d 'Port of the replica.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-pooler-port -d 'Port of PgBouncer.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-redis-port -d 'Port of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-api -d 'Instances of an API that others run, as host:port with commas between: the front leads to them, too.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-private-webhooks -d 'Whether webhooks may lead to this machine and to private networks: whoever has a key then has the API call them.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-trusted-proxies -d 'Networks of proxies before the front and the MCP service: what these say in X-Forwarded-For is believed.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-max-connections -d 'Connections a node takes (max_connections).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-shared-buffers -d 'Memory of a node for pages (shared_buffers).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-slot-wal-max -d 'Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-cache-memory-max -d 'Most memory of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-programs-dir -d 'Folder that is looked into first for redis-server, pgbouncer and haproxy.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l stack-cache-policy -d 'What goes when redis\' memory is full.' -x -a 'allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction'
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l pooler-consoles -d 'Where they listen, as host:port with commas between, the host also the folder of a Unix socket; each process by an address of its own.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l pooler-password-file -d 'File that holds the password of the role lifeboat_pooler, one of their admin_users.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l pooler-databases-file -d 'File that their pgbouncer.ini includes and that says where their databases lead.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l failover-automatic -d 'Whether a dead primary is replaced without asking. Never without proof that nothing acknowledged is lost, so never in async.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l failover-silent-after -d 'A server that does not answer counts as gone after this: what tells frozen from slow.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l failover-refused-after -d 'A machine that answers and on whose port nobody listens counts as a dead server after this.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l failover-starting-after -d 'A server that restarts after a crash of its own is given this long.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l failover-stuck-after -d 'A server that takes sessions and finishes no write counts as gone after this.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l failover-disk-full -d 'When the primary\'s disk is full: wait for a person, or move to a node with room.' -x -a 'hold failover'
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l failover-webhook -d 'Told of every failover, as JSON by POST.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l failover-hook-command -d 'Shell command run for every event: JSON on its input, the kind in LIFEBOAT_EVENT.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l failover-etcd-endpoints -d 'etcd that grants the right to act, for controllers on several machines; URLs with commas between.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l failover-etcd-prefix -d 'Where its keys lie in etcd.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l failover-etcd-ttl -d 'How long others wait for a controller that is gone, in whole seconds; an orderly stop of a node must fit in.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l postgres-bin-dir -d 'Folder of the server\'s programs (postgres, initdb, pg_ctl).' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from explain' -l postgres-run-as -d 'User that servers run as when Lifeboat is started by root.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l folders-state -d 'State that must survive a restart.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l folders-spool -d 'WAL that was received and is not yet in the vault; on a disk of its own if possible.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l folders-sandbox -d 'Throw-away servers of proofs, drills and the demo.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-name -d 'Name of the stack; its folder is stacks/<name> below folders.state.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-postgres-major -d 'Major version of its PostgreSQL.' -x -a '15 16 17 18'
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-database -d 'Database of the application.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-application-role -d 'Role of the application; it owns the database.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-durability -d 'Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.' -x -a 'async quorum strict'
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-daemon -d 'Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-service -d 'Whether `lifeboat up` starts the service: the catalogue\'s API behind the balancer, the MCP service and the scraper-scheduler.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-feeds -d 'What the scraper-scheduler reads beside sources in the database: the feeds of eight made-up merchants, or nothing.' -x -a 'made-up none'
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-front-port -d 'The balancer\'s port, which leads to the API.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-mcp-port -d 'Port of the MCP service.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-read-port -d 'The balancer\'s port that leads to a server to read from.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-db-port -d 'Port of the primary.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-replica-port -d 'Port of the replica.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-pooler-port -d 'Port of PgBouncer.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-redis-port -d 'Port of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-api -d 'Instances of an API that others run, as host:port with commas between: the front leads to them, too.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-private-webhooks -d 'Whether webhooks may lead to this machine and to private networks: whoever has a key then has the API call them.' -x -a 'on off'
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-trusted-proxies -d 'Networks of proxies before the front and the MCP service: what these say in X-Forwarded-For is believed.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-max-connections -d 'Connections a node takes (max_connections).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-shared-buffers -d 'Memory of a node for pages (shared_buffers).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-slot-wal-max -d 'Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-cache-memory-max -d 'Most memory of redis.' -x
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-programs-dir -d 'Folder that is looked into first for redis-server, pgbouncer and haproxy.' -r -F
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -l stack-cache-policy -d 'What goes when redis\' memory is full.' -x -a 'allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction'
complete -c lifeboat -n '__fish_seen_subcommand_from config; and __fish_seen_subcommand_from render' -a 'db receiver db_replica redis pgbouncer pooler_watch api haproxy mcp scraper-scheduler daemon'
complete -c lifeboat -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'
