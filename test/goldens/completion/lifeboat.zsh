#compdef lifeboat
_lifeboat_doctor() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--server-host=[Host name, address, or the folder of the server'\''s Unix socket.]:value: ' \
    '--server-port=[Port of the server.]:value: ' \
    '--server-user=[Role to log in as; it needs REPLICATION.]:value: ' \
    '--server-database=[Database for ordinary queries.]:value: ' \
    '--server-password-file=[File that holds the password of the role.]:value:_files' \
    '--server-password-command=[Shell command that prints the password.]:value: ' \
    '--server-tls=[Encryption of the connection, as in libpq'\''s sslmode.]:value:(verify-full require disable)' \
    '--server-ca-file=[Certificates that may sign the server'\''s, for verify-full.]:value:_files' \
    '--server-connect-timeout=[How long a connection may take to open.]:value: ' \
    '--vault-path=[Folder of the vault.]:value:_files -/' \
    '--vault-encryption=[Whether the vault asks for a secret; off keeps the key beside the data.]:value:(on off)' \
    '--vault-passphrase-file=[File that holds the vault'\''s passphrase.]:value:_files' \
    '--vault-passphrase-command=[Shell command that prints the vault'\''s passphrase.]:value: ' \
    '--vault-recovery-key-file=[File that holds the recovery key; used instead of the passphrase.]:value:_files' \
    '--vault-identity-file=[File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.]:value:_files' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--receiver-slot=[Physical replication slot on the server.]:value: ' \
    '--receiver-application-name=[Name of the standby connection, as synchronous_standby_names lists it.]:value: ' \
    '--receiver-status-interval=[Longest time between two reports to the server.]:value: ' \
    '--receiver-delay=[Hold back every confirmation for so long; only to show what a slow receiver costs.]:value: ' \
    '--postgres-bin-dir=[Folder of the server'\''s programs (postgres, initdb, pg_ctl).]:value:_files -/' \
    '--postgres-run-as=[User that servers run as when Lifeboat is started by root.]:value: '
}
_lifeboat_status() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--server-host=[Host name, address, or the folder of the server'\''s Unix socket.]:value: ' \
    '--server-port=[Port of the server.]:value: ' \
    '--server-user=[Role to log in as; it needs REPLICATION.]:value: ' \
    '--server-database=[Database for ordinary queries.]:value: ' \
    '--server-password-file=[File that holds the password of the role.]:value:_files' \
    '--server-password-command=[Shell command that prints the password.]:value: ' \
    '--server-tls=[Encryption of the connection, as in libpq'\''s sslmode.]:value:(verify-full require disable)' \
    '--server-ca-file=[Certificates that may sign the server'\''s, for verify-full.]:value:_files' \
    '--server-connect-timeout=[How long a connection may take to open.]:value: ' \
    '--vault-path=[Folder of the vault.]:value:_files -/' \
    '--vault-encryption=[Whether the vault asks for a secret; off keeps the key beside the data.]:value:(on off)' \
    '--vault-passphrase-file=[File that holds the vault'\''s passphrase.]:value:_files' \
    '--vault-passphrase-command=[Shell command that prints the vault'\''s passphrase.]:value: ' \
    '--vault-recovery-key-file=[File that holds the recovery key; used instead of the passphrase.]:value:_files' \
    '--vault-identity-file=[File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.]:value:_files' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--receiver-slot=[Physical replication slot on the server.]:value: ' \
    '--receiver-application-name=[Name of the standby connection, as synchronous_standby_names lists it.]:value: ' \
    '--receiver-status-interval=[Longest time between two reports to the server.]:value: ' \
    '--receiver-delay=[Hold back every confirmation for so long; only to show what a slow receiver costs.]:value: ' \
    '--status-backup-max-age=[A newest backup older than this is wrong; a day and two hours suits one backup a day.]:value: ' \
    '--status-proof-max-age=[A newest proof of a restored backup older than this is wrong; eight days suit one proof a week.]:value: '
}
_lifeboat_vault_init() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--vault-path=[Folder of the vault.]:value:_files -/' \
    '--vault-encryption=[Whether the vault asks for a secret; off keeps the key beside the data.]:value:(on off)' \
    '--vault-passphrase-file=[File that holds the vault'\''s passphrase.]:value:_files' \
    '--vault-passphrase-command=[Shell command that prints the vault'\''s passphrase.]:value: ' \
    '--vault-recovery-key-file=[File that holds the recovery key; used instead of the passphrase.]:value:_files' \
    '--vault-identity-file=[File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.]:value:_files'
}
_lifeboat_vault_check() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--read-data[Read, decrypt and verify every byte; takes as long as reading the vault.]' \
    '--vault-path=[Folder of the vault.]:value:_files -/' \
    '--vault-encryption=[Whether the vault asks for a secret; off keeps the key beside the data.]:value:(on off)' \
    '--vault-passphrase-file=[File that holds the vault'\''s passphrase.]:value:_files' \
    '--vault-passphrase-command=[Shell command that prints the vault'\''s passphrase.]:value: ' \
    '--vault-recovery-key-file=[File that holds the recovery key; used instead of the passphrase.]:value:_files' \
    '--vault-identity-file=[File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.]:value:_files'
}
_lifeboat_vault_repair() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--dry-run[Print what would be done and change nothing.]' \
    '--history=[A history that the vault has lost, as it lies in pg_wal of a server\: 00000002.history. One that what is held contradicts is refused.]:value:_files' \
    '--system=[The system whose history it is. Default\: the only one that lacks it.]:value: ' \
    '--vault-path=[Folder of the vault.]:value:_files -/' \
    '--vault-encryption=[Whether the vault asks for a secret; off keeps the key beside the data.]:value:(on off)' \
    '--vault-passphrase-file=[File that holds the vault'\''s passphrase.]:value:_files' \
    '--vault-passphrase-command=[Shell command that prints the vault'\''s passphrase.]:value: ' \
    '--vault-recovery-key-file=[File that holds the recovery key; used instead of the passphrase.]:value:_files' \
    '--vault-identity-file=[File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.]:value:_files' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/'
}
_lifeboat_vault_key() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--passphrase-file=[For add and rewrap\: file that holds the new passphrase.]:value:_files' \
    '--age=[For add\: an age recipient, age1….]:value: ' \
    '--recovery-key[For add\: a new recovery key, printed once.]' \
    '--label=[For add and rewrap\: a note shown by list.]:value: ' \
    '--vault-path=[Folder of the vault.]:value:_files -/' \
    '--vault-encryption=[Whether the vault asks for a secret; off keeps the key beside the data.]:value:(on off)' \
    '--vault-passphrase-file=[File that holds the vault'\''s passphrase.]:value:_files' \
    '--vault-passphrase-command=[Shell command that prints the vault'\''s passphrase.]:value: ' \
    '--vault-recovery-key-file=[File that holds the recovery key; used instead of the passphrase.]:value:_files' \
    '--vault-identity-file=[File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.]:value:_files' \
    '1:argument:(list add remove rewrap rotate)' \
    '2:argument: '
}
_lifeboat_backup_hold() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--all[Hold everything in the vault.]' \
    '--reason=[Why, for whoever finds it held.]:value: ' \
    '--vault-path=[Folder of the vault.]:value:_files -/' \
    '--vault-encryption=[Whether the vault asks for a secret; off keeps the key beside the data.]:value:(on off)' \
    '--vault-passphrase-file=[File that holds the vault'\''s passphrase.]:value:_files' \
    '--vault-passphrase-command=[Shell command that prints the vault'\''s passphrase.]:value: ' \
    '--vault-recovery-key-file=[File that holds the recovery key; used instead of the passphrase.]:value:_files' \
    '--vault-identity-file=[File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.]:value:_files' \
    '1:argument: '
}
_lifeboat_backup_release() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--all[Release what `backup hold --all` holds.]' \
    '--vault-path=[Folder of the vault.]:value:_files -/' \
    '--vault-encryption=[Whether the vault asks for a secret; off keeps the key beside the data.]:value:(on off)' \
    '--vault-passphrase-file=[File that holds the vault'\''s passphrase.]:value:_files' \
    '--vault-passphrase-command=[Shell command that prints the vault'\''s passphrase.]:value: ' \
    '--vault-recovery-key-file=[File that holds the recovery key; used instead of the passphrase.]:value:_files' \
    '--vault-identity-file=[File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.]:value:_files' \
    '1:argument: '
}
_lifeboat_backups() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--all[Show also what is under way, was cut short, or is about to be deleted.]' \
    '--vault-path=[Folder of the vault.]:value:_files -/' \
    '--vault-encryption=[Whether the vault asks for a secret; off keeps the key beside the data.]:value:(on off)' \
    '--vault-passphrase-file=[File that holds the vault'\''s passphrase.]:value:_files' \
    '--vault-passphrase-command=[Shell command that prints the vault'\''s passphrase.]:value: ' \
    '--vault-recovery-key-file=[File that holds the recovery key; used instead of the passphrase.]:value:_files' \
    '--vault-identity-file=[File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.]:value:_files'
}
_lifeboat_verify() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--depth=[How much is shown.]:value:(present intact booted checked)' \
    '--all[Prove every backup, the oldest first.]' \
    '--system=[System identifier. Default\: the only one of the vault.]:value: ' \
    '--sandbox=[Where the sandbox lies. Default\: folders.sandbox.]:value:_files -/' \
    '--vault-path=[Folder of the vault.]:value:_files -/' \
    '--vault-encryption=[Whether the vault asks for a secret; off keeps the key beside the data.]:value:(on off)' \
    '--vault-passphrase-file=[File that holds the vault'\''s passphrase.]:value:_files' \
    '--vault-passphrase-command=[Shell command that prints the vault'\''s passphrase.]:value: ' \
    '--vault-recovery-key-file=[File that holds the recovery key; used instead of the passphrase.]:value:_files' \
    '--vault-identity-file=[File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.]:value:_files' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--restore-boot-timeout=[How long the restored server may take to replay WAL and accept connections.]:value: ' \
    '--restore-wal-laid-max=[With --boot, and in a proof\: most WAL to lay into pg_wal before the start; the rest is fed while the server recovers.]:value: ' \
    '--proof-invariants-file=[YAML list of queries that must hold in the restored databases; see docs/operating.md.]:value:_files' \
    '--postgres-bin-dir=[Folder of the server'\''s programs (postgres, initdb, pg_ctl).]:value:_files -/' \
    '--postgres-run-as=[User that servers run as when Lifeboat is started by root.]:value: ' \
    '1:argument: '
}
_lifeboat_prune() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--dry-run[Print the plan and change nothing.]' \
    '--remove=[Let this backup go too, for example a manual one.]:value: ' \
    '--vault-path=[Folder of the vault.]:value:_files -/' \
    '--vault-encryption=[Whether the vault asks for a secret; off keeps the key beside the data.]:value:(on off)' \
    '--vault-passphrase-file=[File that holds the vault'\''s passphrase.]:value:_files' \
    '--vault-passphrase-command=[Shell command that prints the vault'\''s passphrase.]:value: ' \
    '--vault-recovery-key-file=[File that holds the recovery key; used instead of the passphrase.]:value:_files' \
    '--vault-identity-file=[File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.]:value:_files' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--retention-hourly=[In how many hours the newest backup is kept.]:value: ' \
    '--retention-daily=[In how many days the newest backup is kept.]:value: ' \
    '--retention-weekly=[In how many weeks the newest backup is kept.]:value: ' \
    '--retention-manual-days=[After how many days manual backups go.]:value: ' \
    '--retention-grace=[How long a backup that is to go can be brought back.]:value: '
}
_lifeboat_points() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--vault-path=[Folder of the vault.]:value:_files -/' \
    '--vault-encryption=[Whether the vault asks for a secret; off keeps the key beside the data.]:value:(on off)' \
    '--vault-passphrase-file=[File that holds the vault'\''s passphrase.]:value:_files' \
    '--vault-passphrase-command=[Shell command that prints the vault'\''s passphrase.]:value: ' \
    '--vault-recovery-key-file=[File that holds the recovery key; used instead of the passphrase.]:value:_files' \
    '--vault-identity-file=[File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.]:value:_files' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/'
}
_lifeboat_wal_receive() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--server-host=[Host name, address, or the folder of the server'\''s Unix socket.]:value: ' \
    '--server-port=[Port of the server.]:value: ' \
    '--server-user=[Role to log in as; it needs REPLICATION.]:value: ' \
    '--server-database=[Database for ordinary queries.]:value: ' \
    '--server-password-file=[File that holds the password of the role.]:value:_files' \
    '--server-password-command=[Shell command that prints the password.]:value: ' \
    '--server-tls=[Encryption of the connection, as in libpq'\''s sslmode.]:value:(verify-full require disable)' \
    '--server-ca-file=[Certificates that may sign the server'\''s, for verify-full.]:value:_files' \
    '--server-connect-timeout=[How long a connection may take to open.]:value: ' \
    '--vault-path=[Folder of the vault.]:value:_files -/' \
    '--vault-encryption=[Whether the vault asks for a secret; off keeps the key beside the data.]:value:(on off)' \
    '--vault-passphrase-file=[File that holds the vault'\''s passphrase.]:value:_files' \
    '--vault-passphrase-command=[Shell command that prints the vault'\''s passphrase.]:value: ' \
    '--vault-recovery-key-file=[File that holds the recovery key; used instead of the passphrase.]:value:_files' \
    '--vault-identity-file=[File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.]:value:_files' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--receiver-slot=[Physical replication slot on the server.]:value: ' \
    '--receiver-application-name=[Name of the standby connection, as synchronous_standby_names lists it.]:value: ' \
    '--receiver-status-interval=[Longest time between two reports to the server.]:value: ' \
    '--receiver-delay=[Hold back every confirmation for so long; only to show what a slow receiver costs.]:value: '
}
_lifeboat_wal_status() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--server-host=[Host name, address, or the folder of the server'\''s Unix socket.]:value: ' \
    '--server-port=[Port of the server.]:value: ' \
    '--server-user=[Role to log in as; it needs REPLICATION.]:value: ' \
    '--server-database=[Database for ordinary queries.]:value: ' \
    '--server-password-file=[File that holds the password of the role.]:value:_files' \
    '--server-password-command=[Shell command that prints the password.]:value: ' \
    '--server-tls=[Encryption of the connection, as in libpq'\''s sslmode.]:value:(verify-full require disable)' \
    '--server-ca-file=[Certificates that may sign the server'\''s, for verify-full.]:value:_files' \
    '--server-connect-timeout=[How long a connection may take to open.]:value: ' \
    '--vault-path=[Folder of the vault.]:value:_files -/' \
    '--vault-encryption=[Whether the vault asks for a secret; off keeps the key beside the data.]:value:(on off)' \
    '--vault-passphrase-file=[File that holds the vault'\''s passphrase.]:value:_files' \
    '--vault-passphrase-command=[Shell command that prints the vault'\''s passphrase.]:value: ' \
    '--vault-recovery-key-file=[File that holds the recovery key; used instead of the passphrase.]:value:_files' \
    '--vault-identity-file=[File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.]:value:_files' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--receiver-slot=[Physical replication slot on the server.]:value: ' \
    '--receiver-application-name=[Name of the standby connection, as synchronous_standby_names lists it.]:value: ' \
    '--receiver-status-interval=[Longest time between two reports to the server.]:value: ' \
    '--receiver-delay=[Hold back every confirmation for so long; only to show what a slow receiver costs.]:value: '
}
_lifeboat_wal_get() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--mode=[Who asks\: a restore or a standby.]:value:(restore standby)' \
    '--system=[System identifier. Default\: the only one of the vault; naming it spares a listing of the whole vault for each file.]:value: ' \
    '--vault-path=[Folder of the vault.]:value:_files -/' \
    '--vault-encryption=[Whether the vault asks for a secret; off keeps the key beside the data.]:value:(on off)' \
    '--vault-passphrase-file=[File that holds the vault'\''s passphrase.]:value:_files' \
    '--vault-passphrase-command=[Shell command that prints the vault'\''s passphrase.]:value: ' \
    '--vault-recovery-key-file=[File that holds the recovery key; used instead of the passphrase.]:value:_files' \
    '--vault-identity-file=[File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.]:value:_files' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '1:argument: ' \
    '2:argument:_files'
}
_lifeboat_wal_feed() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--target=[The restored data directory.]:value:_files -/' \
    '--vault-path=[Folder of the vault.]:value:_files -/' \
    '--vault-encryption=[Whether the vault asks for a secret; off keeps the key beside the data.]:value:(on off)' \
    '--vault-passphrase-file=[File that holds the vault'\''s passphrase.]:value:_files' \
    '--vault-passphrase-command=[Shell command that prints the vault'\''s passphrase.]:value: ' \
    '--vault-recovery-key-file=[File that holds the recovery key; used instead of the passphrase.]:value:_files' \
    '--vault-identity-file=[File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.]:value:_files' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/'
}
_lifeboat_restore() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--target=[Folder for the restored data directory\: empty or not there.]:value:_files -/' \
    '--to=[How far to recover. Default\: latest, or what another --to says.]:value:(latest time lsn xid name immediate)' \
    '--to-time=[Recover all that was committed up to this moment, and nothing after it.]:value: ' \
    '--to-lsn=[Recover up to this position in the WAL.]:value: ' \
    '--to-xid=[Recover up to the end of this transaction; others may have ended before it.]:value: ' \
    '--to-name=[Recover up to this restore point, made with pg_create_restore_point().]:value: ' \
    '--immediate[Recover until the backup is consistent, and no further.]' \
    '--exclusive[With --to-time, --to-lsn or --to-xid\: stop just before it instead of just after.]' \
    '--timeline=[Timeline to follow. Default\: latest, the newest that grew out of the backup'\''s own.]:value: ' \
    '--backup=[Start from this backup. Default\: the newest that serves, with no failed proof.]:value: ' \
    '--system=[System identifier. Default\: the only one of the vault.]:value: ' \
    '--delta[Into the data directory of a stopped server\: keep what is equal, overwrite or remove the rest.]' \
    '--give-up-commits[With --delta\: give up commits that only the folder has, knowingly.]' \
    '--accept-gap[Where WAL is missing, restore to the last position before the hole, knowingly.]' \
    '--tablespace=[Where tablespaces go, by their OID.]:value: ' \
    '--tablespaces-under=[Where tablespaces go that --tablespace does not name, one folder each.]:value:_files -/' \
    '--dry-run[Print the plan and change nothing.]' \
    '--boot[Start the restored server and wait for it.]' \
    '--port=[Port of the started server. Default\: a free one.]:value: ' \
    '--vault-path=[Folder of the vault.]:value:_files -/' \
    '--vault-encryption=[Whether the vault asks for a secret; off keeps the key beside the data.]:value:(on off)' \
    '--vault-passphrase-file=[File that holds the vault'\''s passphrase.]:value:_files' \
    '--vault-passphrase-command=[Shell command that prints the vault'\''s passphrase.]:value: ' \
    '--vault-recovery-key-file=[File that holds the recovery key; used instead of the passphrase.]:value:_files' \
    '--vault-identity-file=[File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.]:value:_files' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--restore-boot-timeout=[How long the restored server may take to replay WAL and accept connections.]:value: ' \
    '--restore-wal-laid-max=[With --boot, and in a proof\: most WAL to lay into pg_wal before the start; the rest is fed while the server recovers.]:value: ' \
    '--postgres-bin-dir=[Folder of the server'\''s programs (postgres, initdb, pg_ctl).]:value:_files -/' \
    '--postgres-run-as=[User that servers run as when Lifeboat is started by root.]:value: '
}
_lifeboat_probe_read-back() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--host=[Server or pooler. Default\: 127.0.0.1.]:value: ' \
    '--port=[Its port. Default\: that of the stack'\''s PgBouncer.]:value: ' \
    '--user=[Role. Default\: the application'\''s of the stack, with its password.]:value: ' \
    '--database=[Database. Default\: the stack'\''s.]:value: ' \
    '--password-file=[File with the role'\''s password, when --user is given.]:value:_files' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--stack-name=[Name of the stack; its folder is stacks/<name> below folders.state.]:value: ' \
    '--stack-postgres-major=[Major version of its PostgreSQL.]:value:(15 16 17 18)' \
    '--stack-database=[Database of the application.]:value: ' \
    '--stack-application-role=[Role of the application; it owns the database.]:value: ' \
    '--stack-durability=[Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.]:value:(async quorum strict)' \
    '--stack-daemon=[Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.]:value:(on off)' \
    '--stack-service=[Whether `lifeboat up` starts the service\: the catalogue'\''s API behind the balancer, the MCP service and the scraper-scheduler.]:value:(on off)' \
    '--stack-feeds=[What the scraper-scheduler reads beside sources in the database\: the feeds of eight made-up merchants, or nothing.]:value:(made-up none)' \
    '--stack-front-port=[The balancer'\''s port, which leads to the API.]:value: ' \
    '--stack-mcp-port=[Port of the MCP service.]:value: ' \
    '--stack-read-port=[The balancer'\''s port that leads to a server to read from.]:value: ' \
    '--stack-db-port=[Port of the primary.]:value: ' \
    '--stack-replica-port=[Port of the replica.]:value: ' \
    '--stack-pooler-port=[Port of PgBouncer.]:value: ' \
    '--stack-redis-port=[Port of redis.]:value: ' \
    '--stack-api=[Instances of an API that others run, as host\:port with commas between\: the front leads to them, too.]:value: ' \
    '--stack-private-webhooks=[Whether webhooks may lead to this machine and to private networks\: whoever has a key then has the API call them.]:value:(on off)' \
    '--stack-trusted-proxies=[Networks of proxies before the front and the MCP service\: what these say in X-Forwarded-For is believed.]:value: ' \
    '--stack-max-connections=[Connections a node takes (max_connections).]:value: ' \
    '--stack-shared-buffers=[Memory of a node for pages (shared_buffers).]:value: ' \
    '--stack-slot-wal-max=[Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).]:value: ' \
    '--stack-cache-memory-max=[Most memory of redis.]:value: ' \
    '--stack-programs-dir=[Folder that is looked into first for redis-server, pgbouncer and haproxy.]:value:_files -/' \
    '--stack-cache-policy=[What goes when redis'\'' memory is full.]:value:(allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction)' \
    '1:argument:_files'
}
_lifeboat_up() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--ports=[The configured ports, or free ones, which are recorded and stay.]:value:(described auto)' \
    '--install[As root on Debian, install missing programs (redis, PgBouncer, HAProxy) without asking.]' \
    '--dry-run[Print the plan and change nothing.]' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--stack-name=[Name of the stack; its folder is stacks/<name> below folders.state.]:value: ' \
    '--stack-postgres-major=[Major version of its PostgreSQL.]:value:(15 16 17 18)' \
    '--stack-database=[Database of the application.]:value: ' \
    '--stack-application-role=[Role of the application; it owns the database.]:value: ' \
    '--stack-durability=[Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.]:value:(async quorum strict)' \
    '--stack-daemon=[Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.]:value:(on off)' \
    '--stack-service=[Whether `lifeboat up` starts the service\: the catalogue'\''s API behind the balancer, the MCP service and the scraper-scheduler.]:value:(on off)' \
    '--stack-feeds=[What the scraper-scheduler reads beside sources in the database\: the feeds of eight made-up merchants, or nothing.]:value:(made-up none)' \
    '--stack-front-port=[The balancer'\''s port, which leads to the API.]:value: ' \
    '--stack-mcp-port=[Port of the MCP service.]:value: ' \
    '--stack-read-port=[The balancer'\''s port that leads to a server to read from.]:value: ' \
    '--stack-db-port=[Port of the primary.]:value: ' \
    '--stack-replica-port=[Port of the replica.]:value: ' \
    '--stack-pooler-port=[Port of PgBouncer.]:value: ' \
    '--stack-redis-port=[Port of redis.]:value: ' \
    '--stack-api=[Instances of an API that others run, as host\:port with commas between\: the front leads to them, too.]:value: ' \
    '--stack-private-webhooks=[Whether webhooks may lead to this machine and to private networks\: whoever has a key then has the API call them.]:value:(on off)' \
    '--stack-trusted-proxies=[Networks of proxies before the front and the MCP service\: what these say in X-Forwarded-For is believed.]:value: ' \
    '--stack-max-connections=[Connections a node takes (max_connections).]:value: ' \
    '--stack-shared-buffers=[Memory of a node for pages (shared_buffers).]:value: ' \
    '--stack-slot-wal-max=[Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).]:value: ' \
    '--stack-cache-memory-max=[Most memory of redis.]:value: ' \
    '--stack-programs-dir=[Folder that is looked into first for redis-server, pgbouncer and haproxy.]:value:_files -/' \
    '--stack-cache-policy=[What goes when redis'\'' memory is full.]:value:(allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction)' \
    '--failover-automatic=[Whether a dead primary is replaced without asking. Never without proof that nothing acknowledged is lost, so never in async.]:value:(on off)' \
    '--failover-silent-after=[A server that does not answer counts as gone after this\: what tells frozen from slow.]:value: ' \
    '--failover-refused-after=[A machine that answers and on whose port nobody listens counts as a dead server after this.]:value: ' \
    '--failover-starting-after=[A server that restarts after a crash of its own is given this long.]:value: ' \
    '--failover-stuck-after=[A server that takes sessions and finishes no write counts as gone after this.]:value: ' \
    '--failover-disk-full=[When the primary'\''s disk is full\: wait for a person, or move to a node with room.]:value:(hold failover)' \
    '--failover-webhook=[Told of every failover, as JSON by POST.]:value: ' \
    '--failover-hook-command=[Shell command run for every event\: JSON on its input, the kind in LIFEBOAT_EVENT.]:value: ' \
    '--failover-etcd-endpoints=[etcd that grants the right to act, for controllers on several machines; URLs with commas between.]:value: ' \
    '--failover-etcd-prefix=[Where its keys lie in etcd.]:value: ' \
    '--failover-etcd-ttl=[How long others wait for a controller that is gone, in whole seconds; an orderly stop of a node must fit in.]:value: ' \
    '--postgres-bin-dir=[Folder of the server'\''s programs (postgres, initdb, pg_ctl).]:value:_files -/' \
    '--postgres-run-as=[User that servers run as when Lifeboat is started by root.]:value: '
}
_lifeboat_down() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--stack-name=[Name of the stack; its folder is stacks/<name> below folders.state.]:value: ' \
    '--stack-postgres-major=[Major version of its PostgreSQL.]:value:(15 16 17 18)' \
    '--stack-database=[Database of the application.]:value: ' \
    '--stack-application-role=[Role of the application; it owns the database.]:value: ' \
    '--stack-durability=[Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.]:value:(async quorum strict)' \
    '--stack-daemon=[Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.]:value:(on off)' \
    '--stack-service=[Whether `lifeboat up` starts the service\: the catalogue'\''s API behind the balancer, the MCP service and the scraper-scheduler.]:value:(on off)' \
    '--stack-feeds=[What the scraper-scheduler reads beside sources in the database\: the feeds of eight made-up merchants, or nothing.]:value:(made-up none)' \
    '--stack-front-port=[The balancer'\''s port, which leads to the API.]:value: ' \
    '--stack-mcp-port=[Port of the MCP service.]:value: ' \
    '--stack-read-port=[The balancer'\''s port that leads to a server to read from.]:value: ' \
    '--stack-db-port=[Port of the primary.]:value: ' \
    '--stack-replica-port=[Port of the replica.]:value: ' \
    '--stack-pooler-port=[Port of PgBouncer.]:value: ' \
    '--stack-redis-port=[Port of redis.]:value: ' \
    '--stack-api=[Instances of an API that others run, as host\:port with commas between\: the front leads to them, too.]:value: ' \
    '--stack-private-webhooks=[Whether webhooks may lead to this machine and to private networks\: whoever has a key then has the API call them.]:value:(on off)' \
    '--stack-trusted-proxies=[Networks of proxies before the front and the MCP service\: what these say in X-Forwarded-For is believed.]:value: ' \
    '--stack-max-connections=[Connections a node takes (max_connections).]:value: ' \
    '--stack-shared-buffers=[Memory of a node for pages (shared_buffers).]:value: ' \
    '--stack-slot-wal-max=[Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).]:value: ' \
    '--stack-cache-memory-max=[Most memory of redis.]:value: ' \
    '--stack-programs-dir=[Folder that is looked into first for redis-server, pgbouncer and haproxy.]:value:_files -/' \
    '--stack-cache-policy=[What goes when redis'\'' memory is full.]:value:(allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction)'
}
_lifeboat_ps() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--stack-name=[Name of the stack; its folder is stacks/<name> below folders.state.]:value: ' \
    '--stack-postgres-major=[Major version of its PostgreSQL.]:value:(15 16 17 18)' \
    '--stack-database=[Database of the application.]:value: ' \
    '--stack-application-role=[Role of the application; it owns the database.]:value: ' \
    '--stack-durability=[Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.]:value:(async quorum strict)' \
    '--stack-daemon=[Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.]:value:(on off)' \
    '--stack-service=[Whether `lifeboat up` starts the service\: the catalogue'\''s API behind the balancer, the MCP service and the scraper-scheduler.]:value:(on off)' \
    '--stack-feeds=[What the scraper-scheduler reads beside sources in the database\: the feeds of eight made-up merchants, or nothing.]:value:(made-up none)' \
    '--stack-front-port=[The balancer'\''s port, which leads to the API.]:value: ' \
    '--stack-mcp-port=[Port of the MCP service.]:value: ' \
    '--stack-read-port=[The balancer'\''s port that leads to a server to read from.]:value: ' \
    '--stack-db-port=[Port of the primary.]:value: ' \
    '--stack-replica-port=[Port of the replica.]:value: ' \
    '--stack-pooler-port=[Port of PgBouncer.]:value: ' \
    '--stack-redis-port=[Port of redis.]:value: ' \
    '--stack-api=[Instances of an API that others run, as host\:port with commas between\: the front leads to them, too.]:value: ' \
    '--stack-private-webhooks=[Whether webhooks may lead to this machine and to private networks\: whoever has a key then has the API call them.]:value:(on off)' \
    '--stack-trusted-proxies=[Networks of proxies before the front and the MCP service\: what these say in X-Forwarded-For is believed.]:value: ' \
    '--stack-max-connections=[Connections a node takes (max_connections).]:value: ' \
    '--stack-shared-buffers=[Memory of a node for pages (shared_buffers).]:value: ' \
    '--stack-slot-wal-max=[Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).]:value: ' \
    '--stack-cache-memory-max=[Most memory of redis.]:value: ' \
    '--stack-programs-dir=[Folder that is looked into first for redis-server, pgbouncer and haproxy.]:value:_files -/' \
    '--stack-cache-policy=[What goes when redis'\'' memory is full.]:value:(allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction)'
}
_lifeboat_logs() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--follow[Go on with what is written from now on.]' \
    '--lines=[How many last lines of each.]:value: ' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--stack-name=[Name of the stack; its folder is stacks/<name> below folders.state.]:value: ' \
    '--stack-postgres-major=[Major version of its PostgreSQL.]:value:(15 16 17 18)' \
    '--stack-database=[Database of the application.]:value: ' \
    '--stack-application-role=[Role of the application; it owns the database.]:value: ' \
    '--stack-durability=[Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.]:value:(async quorum strict)' \
    '--stack-daemon=[Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.]:value:(on off)' \
    '--stack-service=[Whether `lifeboat up` starts the service\: the catalogue'\''s API behind the balancer, the MCP service and the scraper-scheduler.]:value:(on off)' \
    '--stack-feeds=[What the scraper-scheduler reads beside sources in the database\: the feeds of eight made-up merchants, or nothing.]:value:(made-up none)' \
    '--stack-front-port=[The balancer'\''s port, which leads to the API.]:value: ' \
    '--stack-mcp-port=[Port of the MCP service.]:value: ' \
    '--stack-read-port=[The balancer'\''s port that leads to a server to read from.]:value: ' \
    '--stack-db-port=[Port of the primary.]:value: ' \
    '--stack-replica-port=[Port of the replica.]:value: ' \
    '--stack-pooler-port=[Port of PgBouncer.]:value: ' \
    '--stack-redis-port=[Port of redis.]:value: ' \
    '--stack-api=[Instances of an API that others run, as host\:port with commas between\: the front leads to them, too.]:value: ' \
    '--stack-private-webhooks=[Whether webhooks may lead to this machine and to private networks\: whoever has a key then has the API call them.]:value:(on off)' \
    '--stack-trusted-proxies=[Networks of proxies before the front and the MCP service\: what these say in X-Forwarded-For is believed.]:value: ' \
    '--stack-max-connections=[Connections a node takes (max_connections).]:value: ' \
    '--stack-shared-buffers=[Memory of a node for pages (shared_buffers).]:value: ' \
    '--stack-slot-wal-max=[Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).]:value: ' \
    '--stack-cache-memory-max=[Most memory of redis.]:value: ' \
    '--stack-programs-dir=[Folder that is looked into first for redis-server, pgbouncer and haproxy.]:value:_files -/' \
    '--stack-cache-policy=[What goes when redis'\'' memory is full.]:value:(allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction)' \
    '1:argument:(db receiver db_replica redis pgbouncer pooler_watch api haproxy mcp scraper-scheduler daemon supervisor)'
}
_lifeboat_restart() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--accept-outage[Restart the primary without asking\: writes are interrupted.]' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--stack-name=[Name of the stack; its folder is stacks/<name> below folders.state.]:value: ' \
    '--stack-postgres-major=[Major version of its PostgreSQL.]:value:(15 16 17 18)' \
    '--stack-database=[Database of the application.]:value: ' \
    '--stack-application-role=[Role of the application; it owns the database.]:value: ' \
    '--stack-durability=[Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.]:value:(async quorum strict)' \
    '--stack-daemon=[Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.]:value:(on off)' \
    '--stack-service=[Whether `lifeboat up` starts the service\: the catalogue'\''s API behind the balancer, the MCP service and the scraper-scheduler.]:value:(on off)' \
    '--stack-feeds=[What the scraper-scheduler reads beside sources in the database\: the feeds of eight made-up merchants, or nothing.]:value:(made-up none)' \
    '--stack-front-port=[The balancer'\''s port, which leads to the API.]:value: ' \
    '--stack-mcp-port=[Port of the MCP service.]:value: ' \
    '--stack-read-port=[The balancer'\''s port that leads to a server to read from.]:value: ' \
    '--stack-db-port=[Port of the primary.]:value: ' \
    '--stack-replica-port=[Port of the replica.]:value: ' \
    '--stack-pooler-port=[Port of PgBouncer.]:value: ' \
    '--stack-redis-port=[Port of redis.]:value: ' \
    '--stack-api=[Instances of an API that others run, as host\:port with commas between\: the front leads to them, too.]:value: ' \
    '--stack-private-webhooks=[Whether webhooks may lead to this machine and to private networks\: whoever has a key then has the API call them.]:value:(on off)' \
    '--stack-trusted-proxies=[Networks of proxies before the front and the MCP service\: what these say in X-Forwarded-For is believed.]:value: ' \
    '--stack-max-connections=[Connections a node takes (max_connections).]:value: ' \
    '--stack-shared-buffers=[Memory of a node for pages (shared_buffers).]:value: ' \
    '--stack-slot-wal-max=[Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).]:value: ' \
    '--stack-cache-memory-max=[Most memory of redis.]:value: ' \
    '--stack-programs-dir=[Folder that is looked into first for redis-server, pgbouncer and haproxy.]:value:_files -/' \
    '--stack-cache-policy=[What goes when redis'\'' memory is full.]:value:(allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction)' \
    '1:argument:(db receiver db_replica redis pgbouncer pooler_watch api haproxy mcp scraper-scheduler daemon)'
}
_lifeboat_scale() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--stack-name=[Name of the stack; its folder is stacks/<name> below folders.state.]:value: ' \
    '--stack-postgres-major=[Major version of its PostgreSQL.]:value:(15 16 17 18)' \
    '--stack-database=[Database of the application.]:value: ' \
    '--stack-application-role=[Role of the application; it owns the database.]:value: ' \
    '--stack-durability=[Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.]:value:(async quorum strict)' \
    '--stack-daemon=[Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.]:value:(on off)' \
    '--stack-service=[Whether `lifeboat up` starts the service\: the catalogue'\''s API behind the balancer, the MCP service and the scraper-scheduler.]:value:(on off)' \
    '--stack-feeds=[What the scraper-scheduler reads beside sources in the database\: the feeds of eight made-up merchants, or nothing.]:value:(made-up none)' \
    '--stack-front-port=[The balancer'\''s port, which leads to the API.]:value: ' \
    '--stack-mcp-port=[Port of the MCP service.]:value: ' \
    '--stack-read-port=[The balancer'\''s port that leads to a server to read from.]:value: ' \
    '--stack-db-port=[Port of the primary.]:value: ' \
    '--stack-replica-port=[Port of the replica.]:value: ' \
    '--stack-pooler-port=[Port of PgBouncer.]:value: ' \
    '--stack-redis-port=[Port of redis.]:value: ' \
    '--stack-api=[Instances of an API that others run, as host\:port with commas between\: the front leads to them, too.]:value: ' \
    '--stack-private-webhooks=[Whether webhooks may lead to this machine and to private networks\: whoever has a key then has the API call them.]:value:(on off)' \
    '--stack-trusted-proxies=[Networks of proxies before the front and the MCP service\: what these say in X-Forwarded-For is believed.]:value: ' \
    '--stack-max-connections=[Connections a node takes (max_connections).]:value: ' \
    '--stack-shared-buffers=[Memory of a node for pages (shared_buffers).]:value: ' \
    '--stack-slot-wal-max=[Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).]:value: ' \
    '--stack-cache-memory-max=[Most memory of redis.]:value: ' \
    '--stack-programs-dir=[Folder that is looked into first for redis-server, pgbouncer and haproxy.]:value:_files -/' \
    '--stack-cache-policy=[What goes when redis'\'' memory is full.]:value:(allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction)' \
    '--postgres-bin-dir=[Folder of the server'\''s programs (postgres, initdb, pg_ctl).]:value:_files -/' \
    '--postgres-run-as=[User that servers run as when Lifeboat is started by root.]:value: ' \
    '1:argument:(pgbouncer api)' \
    '2:argument: '
}
_lifeboat_exec() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--timeout=[How long it may take before it is killed.]:value: ' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--stack-name=[Name of the stack; its folder is stacks/<name> below folders.state.]:value: ' \
    '--stack-postgres-major=[Major version of its PostgreSQL.]:value:(15 16 17 18)' \
    '--stack-database=[Database of the application.]:value: ' \
    '--stack-application-role=[Role of the application; it owns the database.]:value: ' \
    '--stack-durability=[Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.]:value:(async quorum strict)' \
    '--stack-daemon=[Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.]:value:(on off)' \
    '--stack-service=[Whether `lifeboat up` starts the service\: the catalogue'\''s API behind the balancer, the MCP service and the scraper-scheduler.]:value:(on off)' \
    '--stack-feeds=[What the scraper-scheduler reads beside sources in the database\: the feeds of eight made-up merchants, or nothing.]:value:(made-up none)' \
    '--stack-front-port=[The balancer'\''s port, which leads to the API.]:value: ' \
    '--stack-mcp-port=[Port of the MCP service.]:value: ' \
    '--stack-read-port=[The balancer'\''s port that leads to a server to read from.]:value: ' \
    '--stack-db-port=[Port of the primary.]:value: ' \
    '--stack-replica-port=[Port of the replica.]:value: ' \
    '--stack-pooler-port=[Port of PgBouncer.]:value: ' \
    '--stack-redis-port=[Port of redis.]:value: ' \
    '--stack-api=[Instances of an API that others run, as host\:port with commas between\: the front leads to them, too.]:value: ' \
    '--stack-private-webhooks=[Whether webhooks may lead to this machine and to private networks\: whoever has a key then has the API call them.]:value:(on off)' \
    '--stack-trusted-proxies=[Networks of proxies before the front and the MCP service\: what these say in X-Forwarded-For is believed.]:value: ' \
    '--stack-max-connections=[Connections a node takes (max_connections).]:value: ' \
    '--stack-shared-buffers=[Memory of a node for pages (shared_buffers).]:value: ' \
    '--stack-slot-wal-max=[Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).]:value: ' \
    '--stack-cache-memory-max=[Most memory of redis.]:value: ' \
    '--stack-programs-dir=[Folder that is looked into first for redis-server, pgbouncer and haproxy.]:value:_files -/' \
    '--stack-cache-policy=[What goes when redis'\'' memory is full.]:value:(allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction)' \
    '1:argument:(db receiver db_replica redis pgbouncer pooler_watch api haproxy mcp scraper-scheduler daemon)' \
    '2:argument: '
}
_lifeboat_durability() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--yes[Accept without being asked what a lower mode means.]' \
    '--force[Also a mode for which too few confirm now, and while the receiver is withdrawn; never while a failover or switchover that is recorded has not ended.]' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--stack-name=[Name of the stack; its folder is stacks/<name> below folders.state.]:value: ' \
    '--stack-postgres-major=[Major version of its PostgreSQL.]:value:(15 16 17 18)' \
    '--stack-database=[Database of the application.]:value: ' \
    '--stack-application-role=[Role of the application; it owns the database.]:value: ' \
    '--stack-durability=[Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.]:value:(async quorum strict)' \
    '--stack-daemon=[Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.]:value:(on off)' \
    '--stack-service=[Whether `lifeboat up` starts the service\: the catalogue'\''s API behind the balancer, the MCP service and the scraper-scheduler.]:value:(on off)' \
    '--stack-feeds=[What the scraper-scheduler reads beside sources in the database\: the feeds of eight made-up merchants, or nothing.]:value:(made-up none)' \
    '--stack-front-port=[The balancer'\''s port, which leads to the API.]:value: ' \
    '--stack-mcp-port=[Port of the MCP service.]:value: ' \
    '--stack-read-port=[The balancer'\''s port that leads to a server to read from.]:value: ' \
    '--stack-db-port=[Port of the primary.]:value: ' \
    '--stack-replica-port=[Port of the replica.]:value: ' \
    '--stack-pooler-port=[Port of PgBouncer.]:value: ' \
    '--stack-redis-port=[Port of redis.]:value: ' \
    '--stack-api=[Instances of an API that others run, as host\:port with commas between\: the front leads to them, too.]:value: ' \
    '--stack-private-webhooks=[Whether webhooks may lead to this machine and to private networks\: whoever has a key then has the API call them.]:value:(on off)' \
    '--stack-trusted-proxies=[Networks of proxies before the front and the MCP service\: what these say in X-Forwarded-For is believed.]:value: ' \
    '--stack-max-connections=[Connections a node takes (max_connections).]:value: ' \
    '--stack-shared-buffers=[Memory of a node for pages (shared_buffers).]:value: ' \
    '--stack-slot-wal-max=[Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).]:value: ' \
    '--stack-cache-memory-max=[Most memory of redis.]:value: ' \
    '--stack-programs-dir=[Folder that is looked into first for redis-server, pgbouncer and haproxy.]:value:_files -/' \
    '--stack-cache-policy=[What goes when redis'\'' memory is full.]:value:(allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction)' \
    '--failover-automatic=[Whether a dead primary is replaced without asking. Never without proof that nothing acknowledged is lost, so never in async.]:value:(on off)' \
    '--failover-silent-after=[A server that does not answer counts as gone after this\: what tells frozen from slow.]:value: ' \
    '--failover-refused-after=[A machine that answers and on whose port nobody listens counts as a dead server after this.]:value: ' \
    '--failover-starting-after=[A server that restarts after a crash of its own is given this long.]:value: ' \
    '--failover-stuck-after=[A server that takes sessions and finishes no write counts as gone after this.]:value: ' \
    '--failover-disk-full=[When the primary'\''s disk is full\: wait for a person, or move to a node with room.]:value:(hold failover)' \
    '--failover-webhook=[Told of every failover, as JSON by POST.]:value: ' \
    '--failover-hook-command=[Shell command run for every event\: JSON on its input, the kind in LIFEBOAT_EVENT.]:value: ' \
    '--failover-etcd-endpoints=[etcd that grants the right to act, for controllers on several machines; URLs with commas between.]:value: ' \
    '--failover-etcd-prefix=[Where its keys lie in etcd.]:value: ' \
    '--failover-etcd-ttl=[How long others wait for a controller that is gone, in whole seconds; an orderly stop of a node must fit in.]:value: ' \
    '--postgres-bin-dir=[Folder of the server'\''s programs (postgres, initdb, pg_ctl).]:value:_files -/' \
    '--postgres-run-as=[User that servers run as when Lifeboat is started by root.]:value: ' \
    '1:argument:(async quorum strict)'
}
_lifeboat_replication() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--once[Look once; waits up to a second for a heartbeat to arrive.]' \
    '--interval=[Time between two looks.]:value: ' \
    '--metrics=[Write each look to this file, for the node exporter'\''s textfile collector.]:value:_files' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--replication-lag-max=[A replica that has not replayed for so long is wrong, and a receiver that has not synced; by heartbeat.]:value: ' \
    '--replication-lag-bytes-max=[So much WAL that is not replayed, or not synced, is wrong.]:value: ' \
    '--stack-name=[Name of the stack; its folder is stacks/<name> below folders.state.]:value: ' \
    '--stack-postgres-major=[Major version of its PostgreSQL.]:value:(15 16 17 18)' \
    '--stack-database=[Database of the application.]:value: ' \
    '--stack-application-role=[Role of the application; it owns the database.]:value: ' \
    '--stack-durability=[Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.]:value:(async quorum strict)' \
    '--stack-daemon=[Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.]:value:(on off)' \
    '--stack-service=[Whether `lifeboat up` starts the service\: the catalogue'\''s API behind the balancer, the MCP service and the scraper-scheduler.]:value:(on off)' \
    '--stack-feeds=[What the scraper-scheduler reads beside sources in the database\: the feeds of eight made-up merchants, or nothing.]:value:(made-up none)' \
    '--stack-front-port=[The balancer'\''s port, which leads to the API.]:value: ' \
    '--stack-mcp-port=[Port of the MCP service.]:value: ' \
    '--stack-read-port=[The balancer'\''s port that leads to a server to read from.]:value: ' \
    '--stack-db-port=[Port of the primary.]:value: ' \
    '--stack-replica-port=[Port of the replica.]:value: ' \
    '--stack-pooler-port=[Port of PgBouncer.]:value: ' \
    '--stack-redis-port=[Port of redis.]:value: ' \
    '--stack-api=[Instances of an API that others run, as host\:port with commas between\: the front leads to them, too.]:value: ' \
    '--stack-private-webhooks=[Whether webhooks may lead to this machine and to private networks\: whoever has a key then has the API call them.]:value:(on off)' \
    '--stack-trusted-proxies=[Networks of proxies before the front and the MCP service\: what these say in X-Forwarded-For is believed.]:value: ' \
    '--stack-max-connections=[Connections a node takes (max_connections).]:value: ' \
    '--stack-shared-buffers=[Memory of a node for pages (shared_buffers).]:value: ' \
    '--stack-slot-wal-max=[Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).]:value: ' \
    '--stack-cache-memory-max=[Most memory of redis.]:value: ' \
    '--stack-programs-dir=[Folder that is looked into first for redis-server, pgbouncer and haproxy.]:value:_files -/' \
    '--stack-cache-policy=[What goes when redis'\'' memory is full.]:value:(allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction)'
}
_lifeboat_pooler_status() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--pooler-consoles=[Where they listen, as host\:port with commas between, the host also the folder of a Unix socket; each process by an address of its own.]:value: ' \
    '--pooler-password-file=[File that holds the password of the role lifeboat_pooler, one of their admin_users.]:value:_files' \
    '--pooler-databases-file=[File that their pgbouncer.ini includes and that says where their databases lead.]:value:_files'
}
_lifeboat_pooler_resume() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--pooler-consoles=[Where they listen, as host\:port with commas between, the host also the folder of a Unix socket; each process by an address of its own.]:value: ' \
    '--pooler-password-file=[File that holds the password of the role lifeboat_pooler, one of their admin_users.]:value:_files' \
    '--pooler-databases-file=[File that their pgbouncer.ini includes and that says where their databases lead.]:value:_files'
}
_lifeboat_pooler_watch() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--pooler-consoles=[Where they listen, as host\:port with commas between, the host also the folder of a Unix socket; each process by an address of its own.]:value: ' \
    '--pooler-password-file=[File that holds the password of the role lifeboat_pooler, one of their admin_users.]:value:_files' \
    '--pooler-databases-file=[File that their pgbouncer.ini includes and that says where their databases lead.]:value:_files'
}
_lifeboat_failover_pause() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--reason=[Why, for whoever looks.]:value: ' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--stack-name=[Name of the stack; its folder is stacks/<name> below folders.state.]:value: ' \
    '--stack-postgres-major=[Major version of its PostgreSQL.]:value:(15 16 17 18)' \
    '--stack-database=[Database of the application.]:value: ' \
    '--stack-application-role=[Role of the application; it owns the database.]:value: ' \
    '--stack-durability=[Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.]:value:(async quorum strict)' \
    '--stack-daemon=[Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.]:value:(on off)' \
    '--stack-service=[Whether `lifeboat up` starts the service\: the catalogue'\''s API behind the balancer, the MCP service and the scraper-scheduler.]:value:(on off)' \
    '--stack-feeds=[What the scraper-scheduler reads beside sources in the database\: the feeds of eight made-up merchants, or nothing.]:value:(made-up none)' \
    '--stack-front-port=[The balancer'\''s port, which leads to the API.]:value: ' \
    '--stack-mcp-port=[Port of the MCP service.]:value: ' \
    '--stack-read-port=[The balancer'\''s port that leads to a server to read from.]:value: ' \
    '--stack-db-port=[Port of the primary.]:value: ' \
    '--stack-replica-port=[Port of the replica.]:value: ' \
    '--stack-pooler-port=[Port of PgBouncer.]:value: ' \
    '--stack-redis-port=[Port of redis.]:value: ' \
    '--stack-api=[Instances of an API that others run, as host\:port with commas between\: the front leads to them, too.]:value: ' \
    '--stack-private-webhooks=[Whether webhooks may lead to this machine and to private networks\: whoever has a key then has the API call them.]:value:(on off)' \
    '--stack-trusted-proxies=[Networks of proxies before the front and the MCP service\: what these say in X-Forwarded-For is believed.]:value: ' \
    '--stack-max-connections=[Connections a node takes (max_connections).]:value: ' \
    '--stack-shared-buffers=[Memory of a node for pages (shared_buffers).]:value: ' \
    '--stack-slot-wal-max=[Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).]:value: ' \
    '--stack-cache-memory-max=[Most memory of redis.]:value: ' \
    '--stack-programs-dir=[Folder that is looked into first for redis-server, pgbouncer and haproxy.]:value:_files -/' \
    '--stack-cache-policy=[What goes when redis'\'' memory is full.]:value:(allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction)' \
    '--failover-automatic=[Whether a dead primary is replaced without asking. Never without proof that nothing acknowledged is lost, so never in async.]:value:(on off)' \
    '--failover-silent-after=[A server that does not answer counts as gone after this\: what tells frozen from slow.]:value: ' \
    '--failover-refused-after=[A machine that answers and on whose port nobody listens counts as a dead server after this.]:value: ' \
    '--failover-starting-after=[A server that restarts after a crash of its own is given this long.]:value: ' \
    '--failover-stuck-after=[A server that takes sessions and finishes no write counts as gone after this.]:value: ' \
    '--failover-disk-full=[When the primary'\''s disk is full\: wait for a person, or move to a node with room.]:value:(hold failover)' \
    '--failover-webhook=[Told of every failover, as JSON by POST.]:value: ' \
    '--failover-hook-command=[Shell command run for every event\: JSON on its input, the kind in LIFEBOAT_EVENT.]:value: ' \
    '--failover-etcd-endpoints=[etcd that grants the right to act, for controllers on several machines; URLs with commas between.]:value: ' \
    '--failover-etcd-prefix=[Where its keys lie in etcd.]:value: ' \
    '--failover-etcd-ttl=[How long others wait for a controller that is gone, in whole seconds; an orderly stop of a node must fit in.]:value: ' \
    '--postgres-bin-dir=[Folder of the server'\''s programs (postgres, initdb, pg_ctl).]:value:_files -/' \
    '--postgres-run-as=[User that servers run as when Lifeboat is started by root.]:value: '
}
_lifeboat_failover_resume() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--stack-name=[Name of the stack; its folder is stacks/<name> below folders.state.]:value: ' \
    '--stack-postgres-major=[Major version of its PostgreSQL.]:value:(15 16 17 18)' \
    '--stack-database=[Database of the application.]:value: ' \
    '--stack-application-role=[Role of the application; it owns the database.]:value: ' \
    '--stack-durability=[Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.]:value:(async quorum strict)' \
    '--stack-daemon=[Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.]:value:(on off)' \
    '--stack-service=[Whether `lifeboat up` starts the service\: the catalogue'\''s API behind the balancer, the MCP service and the scraper-scheduler.]:value:(on off)' \
    '--stack-feeds=[What the scraper-scheduler reads beside sources in the database\: the feeds of eight made-up merchants, or nothing.]:value:(made-up none)' \
    '--stack-front-port=[The balancer'\''s port, which leads to the API.]:value: ' \
    '--stack-mcp-port=[Port of the MCP service.]:value: ' \
    '--stack-read-port=[The balancer'\''s port that leads to a server to read from.]:value: ' \
    '--stack-db-port=[Port of the primary.]:value: ' \
    '--stack-replica-port=[Port of the replica.]:value: ' \
    '--stack-pooler-port=[Port of PgBouncer.]:value: ' \
    '--stack-redis-port=[Port of redis.]:value: ' \
    '--stack-api=[Instances of an API that others run, as host\:port with commas between\: the front leads to them, too.]:value: ' \
    '--stack-private-webhooks=[Whether webhooks may lead to this machine and to private networks\: whoever has a key then has the API call them.]:value:(on off)' \
    '--stack-trusted-proxies=[Networks of proxies before the front and the MCP service\: what these say in X-Forwarded-For is believed.]:value: ' \
    '--stack-max-connections=[Connections a node takes (max_connections).]:value: ' \
    '--stack-shared-buffers=[Memory of a node for pages (shared_buffers).]:value: ' \
    '--stack-slot-wal-max=[Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).]:value: ' \
    '--stack-cache-memory-max=[Most memory of redis.]:value: ' \
    '--stack-programs-dir=[Folder that is looked into first for redis-server, pgbouncer and haproxy.]:value:_files -/' \
    '--stack-cache-policy=[What goes when redis'\'' memory is full.]:value:(allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction)' \
    '--failover-automatic=[Whether a dead primary is replaced without asking. Never without proof that nothing acknowledged is lost, so never in async.]:value:(on off)' \
    '--failover-silent-after=[A server that does not answer counts as gone after this\: what tells frozen from slow.]:value: ' \
    '--failover-refused-after=[A machine that answers and on whose port nobody listens counts as a dead server after this.]:value: ' \
    '--failover-starting-after=[A server that restarts after a crash of its own is given this long.]:value: ' \
    '--failover-stuck-after=[A server that takes sessions and finishes no write counts as gone after this.]:value: ' \
    '--failover-disk-full=[When the primary'\''s disk is full\: wait for a person, or move to a node with room.]:value:(hold failover)' \
    '--failover-webhook=[Told of every failover, as JSON by POST.]:value: ' \
    '--failover-hook-command=[Shell command run for every event\: JSON on its input, the kind in LIFEBOAT_EVENT.]:value: ' \
    '--failover-etcd-endpoints=[etcd that grants the right to act, for controllers on several machines; URLs with commas between.]:value: ' \
    '--failover-etcd-prefix=[Where its keys lie in etcd.]:value: ' \
    '--failover-etcd-ttl=[How long others wait for a controller that is gone, in whole seconds; an orderly stop of a node must fit in.]:value: ' \
    '--postgres-bin-dir=[Folder of the server'\''s programs (postgres, initdb, pg_ctl).]:value:_files -/' \
    '--postgres-run-as=[User that servers run as when Lifeboat is started by root.]:value: '
}
_lifeboat_switchover() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--to=[The node that becomes the primary.]:value:(db db_replica)' \
    '--dry-run[Look, print the plan, and change nothing.]' \
    '--accept=[What it may cost beside writes, typed as --dry-run states it (for example the names of logical slots, or unknown).]:value: ' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--stack-name=[Name of the stack; its folder is stacks/<name> below folders.state.]:value: ' \
    '--stack-postgres-major=[Major version of its PostgreSQL.]:value:(15 16 17 18)' \
    '--stack-database=[Database of the application.]:value: ' \
    '--stack-application-role=[Role of the application; it owns the database.]:value: ' \
    '--stack-durability=[Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.]:value:(async quorum strict)' \
    '--stack-daemon=[Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.]:value:(on off)' \
    '--stack-service=[Whether `lifeboat up` starts the service\: the catalogue'\''s API behind the balancer, the MCP service and the scraper-scheduler.]:value:(on off)' \
    '--stack-feeds=[What the scraper-scheduler reads beside sources in the database\: the feeds of eight made-up merchants, or nothing.]:value:(made-up none)' \
    '--stack-front-port=[The balancer'\''s port, which leads to the API.]:value: ' \
    '--stack-mcp-port=[Port of the MCP service.]:value: ' \
    '--stack-read-port=[The balancer'\''s port that leads to a server to read from.]:value: ' \
    '--stack-db-port=[Port of the primary.]:value: ' \
    '--stack-replica-port=[Port of the replica.]:value: ' \
    '--stack-pooler-port=[Port of PgBouncer.]:value: ' \
    '--stack-redis-port=[Port of redis.]:value: ' \
    '--stack-api=[Instances of an API that others run, as host\:port with commas between\: the front leads to them, too.]:value: ' \
    '--stack-private-webhooks=[Whether webhooks may lead to this machine and to private networks\: whoever has a key then has the API call them.]:value:(on off)' \
    '--stack-trusted-proxies=[Networks of proxies before the front and the MCP service\: what these say in X-Forwarded-For is believed.]:value: ' \
    '--stack-max-connections=[Connections a node takes (max_connections).]:value: ' \
    '--stack-shared-buffers=[Memory of a node for pages (shared_buffers).]:value: ' \
    '--stack-slot-wal-max=[Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).]:value: ' \
    '--stack-cache-memory-max=[Most memory of redis.]:value: ' \
    '--stack-programs-dir=[Folder that is looked into first for redis-server, pgbouncer and haproxy.]:value:_files -/' \
    '--stack-cache-policy=[What goes when redis'\'' memory is full.]:value:(allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction)' \
    '--failover-automatic=[Whether a dead primary is replaced without asking. Never without proof that nothing acknowledged is lost, so never in async.]:value:(on off)' \
    '--failover-silent-after=[A server that does not answer counts as gone after this\: what tells frozen from slow.]:value: ' \
    '--failover-refused-after=[A machine that answers and on whose port nobody listens counts as a dead server after this.]:value: ' \
    '--failover-starting-after=[A server that restarts after a crash of its own is given this long.]:value: ' \
    '--failover-stuck-after=[A server that takes sessions and finishes no write counts as gone after this.]:value: ' \
    '--failover-disk-full=[When the primary'\''s disk is full\: wait for a person, or move to a node with room.]:value:(hold failover)' \
    '--failover-webhook=[Told of every failover, as JSON by POST.]:value: ' \
    '--failover-hook-command=[Shell command run for every event\: JSON on its input, the kind in LIFEBOAT_EVENT.]:value: ' \
    '--failover-etcd-endpoints=[etcd that grants the right to act, for controllers on several machines; URLs with commas between.]:value: ' \
    '--failover-etcd-prefix=[Where its keys lie in etcd.]:value: ' \
    '--failover-etcd-ttl=[How long others wait for a controller that is gone, in whole seconds; an orderly stop of a node must fit in.]:value: ' \
    '--postgres-bin-dir=[Folder of the server'\''s programs (postgres, initdb, pg_ctl).]:value:_files -/' \
    '--postgres-run-as=[User that servers run as when Lifeboat is started by root.]:value: '
}
_lifeboat_rebuild() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--old-data-into=[Rebuild nothing\: write the data that the node had before, as long as it is kept, into this empty folder.]:value: ' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--stack-name=[Name of the stack; its folder is stacks/<name> below folders.state.]:value: ' \
    '--stack-postgres-major=[Major version of its PostgreSQL.]:value:(15 16 17 18)' \
    '--stack-database=[Database of the application.]:value: ' \
    '--stack-application-role=[Role of the application; it owns the database.]:value: ' \
    '--stack-durability=[Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.]:value:(async quorum strict)' \
    '--stack-daemon=[Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.]:value:(on off)' \
    '--stack-service=[Whether `lifeboat up` starts the service\: the catalogue'\''s API behind the balancer, the MCP service and the scraper-scheduler.]:value:(on off)' \
    '--stack-feeds=[What the scraper-scheduler reads beside sources in the database\: the feeds of eight made-up merchants, or nothing.]:value:(made-up none)' \
    '--stack-front-port=[The balancer'\''s port, which leads to the API.]:value: ' \
    '--stack-mcp-port=[Port of the MCP service.]:value: ' \
    '--stack-read-port=[The balancer'\''s port that leads to a server to read from.]:value: ' \
    '--stack-db-port=[Port of the primary.]:value: ' \
    '--stack-replica-port=[Port of the replica.]:value: ' \
    '--stack-pooler-port=[Port of PgBouncer.]:value: ' \
    '--stack-redis-port=[Port of redis.]:value: ' \
    '--stack-api=[Instances of an API that others run, as host\:port with commas between\: the front leads to them, too.]:value: ' \
    '--stack-private-webhooks=[Whether webhooks may lead to this machine and to private networks\: whoever has a key then has the API call them.]:value:(on off)' \
    '--stack-trusted-proxies=[Networks of proxies before the front and the MCP service\: what these say in X-Forwarded-For is believed.]:value: ' \
    '--stack-max-connections=[Connections a node takes (max_connections).]:value: ' \
    '--stack-shared-buffers=[Memory of a node for pages (shared_buffers).]:value: ' \
    '--stack-slot-wal-max=[Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).]:value: ' \
    '--stack-cache-memory-max=[Most memory of redis.]:value: ' \
    '--stack-programs-dir=[Folder that is looked into first for redis-server, pgbouncer and haproxy.]:value:_files -/' \
    '--stack-cache-policy=[What goes when redis'\'' memory is full.]:value:(allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction)' \
    '--failover-automatic=[Whether a dead primary is replaced without asking. Never without proof that nothing acknowledged is lost, so never in async.]:value:(on off)' \
    '--failover-silent-after=[A server that does not answer counts as gone after this\: what tells frozen from slow.]:value: ' \
    '--failover-refused-after=[A machine that answers and on whose port nobody listens counts as a dead server after this.]:value: ' \
    '--failover-starting-after=[A server that restarts after a crash of its own is given this long.]:value: ' \
    '--failover-stuck-after=[A server that takes sessions and finishes no write counts as gone after this.]:value: ' \
    '--failover-disk-full=[When the primary'\''s disk is full\: wait for a person, or move to a node with room.]:value:(hold failover)' \
    '--failover-webhook=[Told of every failover, as JSON by POST.]:value: ' \
    '--failover-hook-command=[Shell command run for every event\: JSON on its input, the kind in LIFEBOAT_EVENT.]:value: ' \
    '--failover-etcd-endpoints=[etcd that grants the right to act, for controllers on several machines; URLs with commas between.]:value: ' \
    '--failover-etcd-prefix=[Where its keys lie in etcd.]:value: ' \
    '--failover-etcd-ttl=[How long others wait for a controller that is gone, in whole seconds; an orderly stop of a node must fit in.]:value: ' \
    '--postgres-bin-dir=[Folder of the server'\''s programs (postgres, initdb, pg_ctl).]:value:_files -/' \
    '--postgres-run-as=[User that servers run as when Lifeboat is started by root.]:value: ' \
    '1:argument:(db db_replica)'
}
_lifeboat_daemon() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--stand-by[Where another daemon controls the stack, wait, do nothing, and take its place when it ends.]' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--stack-name=[Name of the stack; its folder is stacks/<name> below folders.state.]:value: ' \
    '--stack-postgres-major=[Major version of its PostgreSQL.]:value:(15 16 17 18)' \
    '--stack-database=[Database of the application.]:value: ' \
    '--stack-application-role=[Role of the application; it owns the database.]:value: ' \
    '--stack-durability=[Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.]:value:(async quorum strict)' \
    '--stack-daemon=[Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.]:value:(on off)' \
    '--stack-service=[Whether `lifeboat up` starts the service\: the catalogue'\''s API behind the balancer, the MCP service and the scraper-scheduler.]:value:(on off)' \
    '--stack-feeds=[What the scraper-scheduler reads beside sources in the database\: the feeds of eight made-up merchants, or nothing.]:value:(made-up none)' \
    '--stack-front-port=[The balancer'\''s port, which leads to the API.]:value: ' \
    '--stack-mcp-port=[Port of the MCP service.]:value: ' \
    '--stack-read-port=[The balancer'\''s port that leads to a server to read from.]:value: ' \
    '--stack-db-port=[Port of the primary.]:value: ' \
    '--stack-replica-port=[Port of the replica.]:value: ' \
    '--stack-pooler-port=[Port of PgBouncer.]:value: ' \
    '--stack-redis-port=[Port of redis.]:value: ' \
    '--stack-api=[Instances of an API that others run, as host\:port with commas between\: the front leads to them, too.]:value: ' \
    '--stack-private-webhooks=[Whether webhooks may lead to this machine and to private networks\: whoever has a key then has the API call them.]:value:(on off)' \
    '--stack-trusted-proxies=[Networks of proxies before the front and the MCP service\: what these say in X-Forwarded-For is believed.]:value: ' \
    '--stack-max-connections=[Connections a node takes (max_connections).]:value: ' \
    '--stack-shared-buffers=[Memory of a node for pages (shared_buffers).]:value: ' \
    '--stack-slot-wal-max=[Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).]:value: ' \
    '--stack-cache-memory-max=[Most memory of redis.]:value: ' \
    '--stack-programs-dir=[Folder that is looked into first for redis-server, pgbouncer and haproxy.]:value:_files -/' \
    '--stack-cache-policy=[What goes when redis'\'' memory is full.]:value:(allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction)' \
    '--failover-automatic=[Whether a dead primary is replaced without asking. Never without proof that nothing acknowledged is lost, so never in async.]:value:(on off)' \
    '--failover-silent-after=[A server that does not answer counts as gone after this\: what tells frozen from slow.]:value: ' \
    '--failover-refused-after=[A machine that answers and on whose port nobody listens counts as a dead server after this.]:value: ' \
    '--failover-starting-after=[A server that restarts after a crash of its own is given this long.]:value: ' \
    '--failover-stuck-after=[A server that takes sessions and finishes no write counts as gone after this.]:value: ' \
    '--failover-disk-full=[When the primary'\''s disk is full\: wait for a person, or move to a node with room.]:value:(hold failover)' \
    '--failover-webhook=[Told of every failover, as JSON by POST.]:value: ' \
    '--failover-hook-command=[Shell command run for every event\: JSON on its input, the kind in LIFEBOAT_EVENT.]:value: ' \
    '--failover-etcd-endpoints=[etcd that grants the right to act, for controllers on several machines; URLs with commas between.]:value: ' \
    '--failover-etcd-prefix=[Where its keys lie in etcd.]:value: ' \
    '--failover-etcd-ttl=[How long others wait for a controller that is gone, in whole seconds; an orderly stop of a node must fit in.]:value: ' \
    '--postgres-bin-dir=[Folder of the server'\''s programs (postgres, initdb, pg_ctl).]:value:_files -/' \
    '--postgres-run-as=[User that servers run as when Lifeboat is started by root.]:value: '
}
_lifeboat_demo() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--size=[How much data to make.]:value: ' \
    '--seconds=[How long the client writes before the disaster, at least.]:value: ' \
    '--pg=[PostgreSQL'\''s major version.]:value:(15 16 17 18)' \
    '--durability=[quorum\: a commit waits for the vault; async\: it does not, the receiver is late, and writes will be missing.]:value:(quorum async)' \
    '--keep[Keep the folder, leave the restored servers running, and say how to look around.]' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--receiver-slot=[Physical replication slot on the server.]:value: ' \
    '--receiver-application-name=[Name of the standby connection, as synchronous_standby_names lists it.]:value: ' \
    '--receiver-status-interval=[Longest time between two reports to the server.]:value: ' \
    '--receiver-delay=[Hold back every confirmation for so long; only to show what a slow receiver costs.]:value: ' \
    '--restore-boot-timeout=[How long the restored server may take to replay WAL and accept connections.]:value: ' \
    '--restore-wal-laid-max=[With --boot, and in a proof\: most WAL to lay into pg_wal before the start; the rest is fed while the server recovers.]:value: ' \
    '--postgres-bin-dir=[Folder of the server'\''s programs (postgres, initdb, pg_ctl).]:value:_files -/' \
    '--postgres-run-as=[User that servers run as when Lifeboat is started by root.]:value: '
}
_lifeboat_config_explain() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--server-host=[Host name, address, or the folder of the server'\''s Unix socket.]:value: ' \
    '--server-port=[Port of the server.]:value: ' \
    '--server-user=[Role to log in as; it needs REPLICATION.]:value: ' \
    '--server-database=[Database for ordinary queries.]:value: ' \
    '--server-password-file=[File that holds the password of the role.]:value:_files' \
    '--server-password-command=[Shell command that prints the password.]:value: ' \
    '--server-tls=[Encryption of the connection, as in libpq'\''s sslmode.]:value:(verify-full require disable)' \
    '--server-ca-file=[Certificates that may sign the server'\''s, for verify-full.]:value:_files' \
    '--server-connect-timeout=[How long a connection may take to open.]:value: ' \
    '--vault-path=[Folder of the vault.]:value:_files -/' \
    '--vault-encryption=[Whether the vault asks for a secret; off keeps the key beside the data.]:value:(on off)' \
    '--vault-passphrase-file=[File that holds the vault'\''s passphrase.]:value:_files' \
    '--vault-passphrase-command=[Shell command that prints the vault'\''s passphrase.]:value: ' \
    '--vault-recovery-key-file=[File that holds the recovery key; used instead of the passphrase.]:value:_files' \
    '--vault-identity-file=[File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.]:value:_files' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--receiver-slot=[Physical replication slot on the server.]:value: ' \
    '--receiver-application-name=[Name of the standby connection, as synchronous_standby_names lists it.]:value: ' \
    '--receiver-status-interval=[Longest time between two reports to the server.]:value: ' \
    '--receiver-delay=[Hold back every confirmation for so long; only to show what a slow receiver costs.]:value: ' \
    '--backup-checkpoint=[fast starts at once and loads the server; spread waits for a gentle checkpoint.]:value:(fast spread)' \
    '--backup-compression-level=[Zstandard level; above 2 it costs much time and saves little.]:value: ' \
    '--backup-max-rate=[Most bytes a second the server may send.]:value: ' \
    '--backup-nice=[How far a backup stands back for whatever else wants the processors; 0 for not at all.]:value: ' \
    '--retention-hourly=[In how many hours the newest backup is kept.]:value: ' \
    '--retention-daily=[In how many days the newest backup is kept.]:value: ' \
    '--retention-weekly=[In how many weeks the newest backup is kept.]:value: ' \
    '--retention-manual-days=[After how many days manual backups go.]:value: ' \
    '--retention-grace=[How long a backup that is to go can be brought back.]:value: ' \
    '--restore-boot-timeout=[How long the restored server may take to replay WAL and accept connections.]:value: ' \
    '--restore-wal-laid-max=[With --boot, and in a proof\: most WAL to lay into pg_wal before the start; the rest is fed while the server recovers.]:value: ' \
    '--proof-invariants-file=[YAML list of queries that must hold in the restored databases; see docs/operating.md.]:value:_files' \
    '--status-backup-max-age=[A newest backup older than this is wrong; a day and two hours suits one backup a day.]:value: ' \
    '--status-proof-max-age=[A newest proof of a restored backup older than this is wrong; eight days suit one proof a week.]:value: ' \
    '--replication-lag-max=[A replica that has not replayed for so long is wrong, and a receiver that has not synced; by heartbeat.]:value: ' \
    '--replication-lag-bytes-max=[So much WAL that is not replayed, or not synced, is wrong.]:value: ' \
    '--stack-name=[Name of the stack; its folder is stacks/<name> below folders.state.]:value: ' \
    '--stack-postgres-major=[Major version of its PostgreSQL.]:value:(15 16 17 18)' \
    '--stack-database=[Database of the application.]:value: ' \
    '--stack-application-role=[Role of the application; it owns the database.]:value: ' \
    '--stack-durability=[Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.]:value:(async quorum strict)' \
    '--stack-daemon=[Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.]:value:(on off)' \
    '--stack-service=[Whether `lifeboat up` starts the service\: the catalogue'\''s API behind the balancer, the MCP service and the scraper-scheduler.]:value:(on off)' \
    '--stack-feeds=[What the scraper-scheduler reads beside sources in the database\: the feeds of eight made-up merchants, or nothing.]:value:(made-up none)' \
    '--stack-front-port=[The balancer'\''s port, which leads to the API.]:value: ' \
    '--stack-mcp-port=[Port of the MCP service.]:value: ' \
    '--stack-read-port=[The balancer'\''s port that leads to a server to read from.]:value: ' \
    '--stack-db-port=[Port of the primary.]:value: ' \
    '--stack-replica-port=[Port of the replica.]:value: ' \
    '--stack-pooler-port=[Port of PgBouncer.]:value: ' \
    '--stack-redis-port=[Port of redis.]:value: ' \
    '--stack-api=[Instances of an API that others run, as host\:port with commas between\: the front leads to them, too.]:value: ' \
    '--stack-private-webhooks=[Whether webhooks may lead to this machine and to private networks\: whoever has a key then has the API call them.]:value:(on off)' \
    '--stack-trusted-proxies=[Networks of proxies before the front and the MCP service\: what these say in X-Forwarded-For is believed.]:value: ' \
    '--stack-max-connections=[Connections a node takes (max_connections).]:value: ' \
    '--stack-shared-buffers=[Memory of a node for pages (shared_buffers).]:value: ' \
    '--stack-slot-wal-max=[Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).]:value: ' \
    '--stack-cache-memory-max=[Most memory of redis.]:value: ' \
    '--stack-programs-dir=[Folder that is looked into first for redis-server, pgbouncer and haproxy.]:value:_files -/' \
    '--stack-cache-policy=[What goes when redis'\'' memory is full.]:value:(allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction)' \
    '--pooler-consoles=[Where they listen, as host\:port with commas between, the host also the folder of a Unix socket; each process by an address of its own.]:value: ' \
    '--pooler-password-file=[File that holds the password of the role lifeboat_pooler, one of their admin_users.]:value:_files' \
    '--pooler-databases-file=[File that their pgbouncer.ini includes and that says where their databases lead.]:value:_files' \
    '--failover-automatic=[Whether a dead primary is replaced without asking. Never without proof that nothing acknowledged is lost, so never in async.]:value:(on off)' \
    '--failover-silent-after=[A server that does not answer counts as gone after this\: what tells frozen from slow.]:value: ' \
    '--failover-refused-after=[A machine that answers and on whose port nobody listens counts as a dead server after this.]:value: ' \
    '--failover-starting-after=[A server that restarts after a crash of its own is given this long.]:value: ' \
    '--failover-stuck-after=[A server that takes sessions and finishes no write counts as gone after this.]:value: ' \
    '--failover-disk-full=[When the primary'\''s disk is full\: wait for a person, or move to a node with room.]:value:(hold failover)' \
    '--failover-webhook=[Told of every failover, as JSON by POST.]:value: ' \
    '--failover-hook-command=[Shell command run for every event\: JSON on its input, the kind in LIFEBOAT_EVENT.]:value: ' \
    '--failover-etcd-endpoints=[etcd that grants the right to act, for controllers on several machines; URLs with commas between.]:value: ' \
    '--failover-etcd-prefix=[Where its keys lie in etcd.]:value: ' \
    '--failover-etcd-ttl=[How long others wait for a controller that is gone, in whole seconds; an orderly stop of a node must fit in.]:value: ' \
    '--postgres-bin-dir=[Folder of the server'\''s programs (postgres, initdb, pg_ctl).]:value:_files -/' \
    '--postgres-run-as=[User that servers run as when Lifeboat is started by root.]:value: '
}
_lifeboat_config_render() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--stack-name=[Name of the stack; its folder is stacks/<name> below folders.state.]:value: ' \
    '--stack-postgres-major=[Major version of its PostgreSQL.]:value:(15 16 17 18)' \
    '--stack-database=[Database of the application.]:value: ' \
    '--stack-application-role=[Role of the application; it owns the database.]:value: ' \
    '--stack-durability=[Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.]:value:(async quorum strict)' \
    '--stack-daemon=[Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.]:value:(on off)' \
    '--stack-service=[Whether `lifeboat up` starts the service\: the catalogue'\''s API behind the balancer, the MCP service and the scraper-scheduler.]:value:(on off)' \
    '--stack-feeds=[What the scraper-scheduler reads beside sources in the database\: the feeds of eight made-up merchants, or nothing.]:value:(made-up none)' \
    '--stack-front-port=[The balancer'\''s port, which leads to the API.]:value: ' \
    '--stack-mcp-port=[Port of the MCP service.]:value: ' \
    '--stack-read-port=[The balancer'\''s port that leads to a server to read from.]:value: ' \
    '--stack-db-port=[Port of the primary.]:value: ' \
    '--stack-replica-port=[Port of the replica.]:value: ' \
    '--stack-pooler-port=[Port of PgBouncer.]:value: ' \
    '--stack-redis-port=[Port of redis.]:value: ' \
    '--stack-api=[Instances of an API that others run, as host\:port with commas between\: the front leads to them, too.]:value: ' \
    '--stack-private-webhooks=[Whether webhooks may lead to this machine and to private networks\: whoever has a key then has the API call them.]:value:(on off)' \
    '--stack-trusted-proxies=[Networks of proxies before the front and the MCP service\: what these say in X-Forwarded-For is believed.]:value: ' \
    '--stack-max-connections=[Connections a node takes (max_connections).]:value: ' \
    '--stack-shared-buffers=[Memory of a node for pages (shared_buffers).]:value: ' \
    '--stack-slot-wal-max=[Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).]:value: ' \
    '--stack-cache-memory-max=[Most memory of redis.]:value: ' \
    '--stack-programs-dir=[Folder that is looked into first for redis-server, pgbouncer and haproxy.]:value:_files -/' \
    '--stack-cache-policy=[What goes when redis'\'' memory is full.]:value:(allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction)' \
    '1:argument:(db receiver db_replica redis pgbouncer pooler_watch api haproxy mcp scraper-scheduler daemon)'
}
_lifeboat_completion() {
  _arguments -s : \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '1:argument:(bash zsh fish)'
}
_lifeboat_vault() {
  local context state state_descr line curcontext="$curcontext"
  typeset -A opt_args
  local -a commands
  commands=(
    'init:Make a vault'
    'check:Check that everything in the vault is there and whole'
    'repair:Make again what can be made again, and mark what cannot be restored'
    'key:Show and change who can open the vault'
  )
  _arguments -C \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '1: :->command' '*:: :->rest'
  case $state in
    command) _describe command commands ;;
    rest)
      case $line[1] in
        init|check|repair|key) _lifeboat_vault_$line[1] ;;
      esac ;;
  esac
}
_lifeboat_backup() {
  local context state state_descr line curcontext="$curcontext"
  typeset -A opt_args
  local -a commands
  commands=(
    'hold:Keep a backup, or everything, from being pruned'
    'release:Let a held backup, or everything, be pruned again'
  )
  _arguments -C \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--label=[What the backup is called in lists. Default\: its tier.]:value: ' \
    '--tier=[For which tier of retention it is taken; `lifeboat prune` never removes a manual one because of a newer one.]:value:(hourly daily weekly manual)' \
    '--checkpoint=[Goes before --backup-checkpoint.]:value:(fast spread)' \
    '--full[Store every page, also those that an earlier backup has.]' \
    '--adopt-system[Take it although the vault holds backups of another system, for example after pg_upgrade.]' \
    '--server-host=[Host name, address, or the folder of the server'\''s Unix socket.]:value: ' \
    '--server-port=[Port of the server.]:value: ' \
    '--server-user=[Role to log in as; it needs REPLICATION.]:value: ' \
    '--server-database=[Database for ordinary queries.]:value: ' \
    '--server-password-file=[File that holds the password of the role.]:value:_files' \
    '--server-password-command=[Shell command that prints the password.]:value: ' \
    '--server-tls=[Encryption of the connection, as in libpq'\''s sslmode.]:value:(verify-full require disable)' \
    '--server-ca-file=[Certificates that may sign the server'\''s, for verify-full.]:value:_files' \
    '--server-connect-timeout=[How long a connection may take to open.]:value: ' \
    '--vault-path=[Folder of the vault.]:value:_files -/' \
    '--vault-encryption=[Whether the vault asks for a secret; off keeps the key beside the data.]:value:(on off)' \
    '--vault-passphrase-file=[File that holds the vault'\''s passphrase.]:value:_files' \
    '--vault-passphrase-command=[Shell command that prints the vault'\''s passphrase.]:value: ' \
    '--vault-recovery-key-file=[File that holds the recovery key; used instead of the passphrase.]:value:_files' \
    '--vault-identity-file=[File that holds an age identity and the line that `vault key add --age` printed; used instead of the passphrase.]:value:_files' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--receiver-slot=[Physical replication slot on the server.]:value: ' \
    '--receiver-application-name=[Name of the standby connection, as synchronous_standby_names lists it.]:value: ' \
    '--receiver-status-interval=[Longest time between two reports to the server.]:value: ' \
    '--receiver-delay=[Hold back every confirmation for so long; only to show what a slow receiver costs.]:value: ' \
    '--backup-checkpoint=[fast starts at once and loads the server; spread waits for a gentle checkpoint.]:value:(fast spread)' \
    '--backup-compression-level=[Zstandard level; above 2 it costs much time and saves little.]:value: ' \
    '--backup-max-rate=[Most bytes a second the server may send.]:value: ' \
    '--backup-nice=[How far a backup stands back for whatever else wants the processors; 0 for not at all.]:value: ' \
    '1: :->command' '*:: :->rest'
  case $state in
    command) _describe command commands ;;
    rest)
      case $line[1] in
        hold|release) _lifeboat_backup_$line[1] ;;
      esac ;;
  esac
}
_lifeboat_wal() {
  local context state state_descr line curcontext="$curcontext"
  typeset -A opt_args
  local -a commands
  commands=(
    'receive:Receive WAL from the server into the vault'
    'status:Show how receiving WAL stands'
    'get:Fetch a WAL segment or history, as restore_command'
    'feed:Go on feeding WAL to an interrupted recovery'
  )
  _arguments -C \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '1: :->command' '*:: :->rest'
  case $state in
    command) _describe command commands ;;
    rest)
      case $line[1] in
        receive|status|get|feed) _lifeboat_wal_$line[1] ;;
      esac ;;
  esac
}
_lifeboat_probe() {
  local context state state_descr line curcontext="$curcontext"
  typeset -A opt_args
  local -a commands
  commands=(
    'read-back:Look up every acknowledged write of a probe'\''s ledger'
  )
  _arguments -C \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--rate=[Writes per second.]:value: ' \
    '--reads=[Reads of acknowledged rows per second.]:value: ' \
    '--seconds=[How long.]:value: ' \
    '--lanes=[Connections.]:value: ' \
    '--queue-deadline=[How long an operation may wait for a connection; then it has failed, and was never sent.]:value: ' \
    '--answer-deadline=[How long a sent operation may go without an answer; then a write is unknown, a read has failed.]:value: ' \
    '--ledger=[The ledger; must not exist. Default\: a new file below folders.state.]:value:_files' \
    '--keep[Leave the rows and the ledger.]' \
    '--host=[Server or pooler. Default\: 127.0.0.1.]:value: ' \
    '--port=[Its port. Default\: that of the stack'\''s PgBouncer.]:value: ' \
    '--user=[Role. Default\: the application'\''s of the stack, with its password.]:value: ' \
    '--database=[Database. Default\: the stack'\''s.]:value: ' \
    '--password-file=[File with the role'\''s password, when --user is given.]:value:_files' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--stack-name=[Name of the stack; its folder is stacks/<name> below folders.state.]:value: ' \
    '--stack-postgres-major=[Major version of its PostgreSQL.]:value:(15 16 17 18)' \
    '--stack-database=[Database of the application.]:value: ' \
    '--stack-application-role=[Role of the application; it owns the database.]:value: ' \
    '--stack-durability=[Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.]:value:(async quorum strict)' \
    '--stack-daemon=[Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.]:value:(on off)' \
    '--stack-service=[Whether `lifeboat up` starts the service\: the catalogue'\''s API behind the balancer, the MCP service and the scraper-scheduler.]:value:(on off)' \
    '--stack-feeds=[What the scraper-scheduler reads beside sources in the database\: the feeds of eight made-up merchants, or nothing.]:value:(made-up none)' \
    '--stack-front-port=[The balancer'\''s port, which leads to the API.]:value: ' \
    '--stack-mcp-port=[Port of the MCP service.]:value: ' \
    '--stack-read-port=[The balancer'\''s port that leads to a server to read from.]:value: ' \
    '--stack-db-port=[Port of the primary.]:value: ' \
    '--stack-replica-port=[Port of the replica.]:value: ' \
    '--stack-pooler-port=[Port of PgBouncer.]:value: ' \
    '--stack-redis-port=[Port of redis.]:value: ' \
    '--stack-api=[Instances of an API that others run, as host\:port with commas between\: the front leads to them, too.]:value: ' \
    '--stack-private-webhooks=[Whether webhooks may lead to this machine and to private networks\: whoever has a key then has the API call them.]:value:(on off)' \
    '--stack-trusted-proxies=[Networks of proxies before the front and the MCP service\: what these say in X-Forwarded-For is believed.]:value: ' \
    '--stack-max-connections=[Connections a node takes (max_connections).]:value: ' \
    '--stack-shared-buffers=[Memory of a node for pages (shared_buffers).]:value: ' \
    '--stack-slot-wal-max=[Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).]:value: ' \
    '--stack-cache-memory-max=[Most memory of redis.]:value: ' \
    '--stack-programs-dir=[Folder that is looked into first for redis-server, pgbouncer and haproxy.]:value:_files -/' \
    '--stack-cache-policy=[What goes when redis'\'' memory is full.]:value:(allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction)' \
    '1: :->command' '*:: :->rest'
  case $state in
    command) _describe command commands ;;
    rest)
      case $line[1] in
        read-back) _lifeboat_probe_$line[1] ;;
      esac ;;
  esac
}
_lifeboat_pooler() {
  local context state state_descr line curcontext="$curcontext"
  typeset -A opt_args
  local -a commands
  commands=(
    'status:Show what the poolers do'
    'resume:Let clients go on that a paused pooler has waiting'
    'watch:Resume poolers whose controller died while they were paused'
  )
  _arguments -C \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '1: :->command' '*:: :->rest'
  case $state in
    command) _describe command commands ;;
    rest)
      case $line[1] in
        status|resume|watch) _lifeboat_pooler_$line[1] ;;
      esac ;;
  esac
}
_lifeboat_failover() {
  local context state state_descr line curcontext="$curcontext"
  typeset -A opt_args
  local -a commands
  commands=(
    'pause:No failover by itself until resumed, for maintenance'
    'resume:Failover by itself again'
  )
  _arguments -C \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '--check-only[Look and decide, and change nothing.]' \
    '--follow[With --check-only\: go on, and tell every other decision.]' \
    '--promote[Replace the primary, which must be gone.]' \
    '--adopt=[Of two primaries have this one stay, as it is\: one that somebody promoted by hand, or the recorded one where it is down.]:value: ' \
    '--accept-loss=[With --promote\: what may be missing afterwards, typed as --check-only states it (for example 8192 bytes, or unknown).]:value: ' \
    '--folders-state=[State that must survive a restart.]:value:_files -/' \
    '--folders-spool=[WAL that was received and is not yet in the vault; on a disk of its own if possible.]:value:_files -/' \
    '--folders-sandbox=[Throw-away servers of proofs, drills and the demo.]:value:_files -/' \
    '--stack-name=[Name of the stack; its folder is stacks/<name> below folders.state.]:value: ' \
    '--stack-postgres-major=[Major version of its PostgreSQL.]:value:(15 16 17 18)' \
    '--stack-database=[Database of the application.]:value: ' \
    '--stack-application-role=[Role of the application; it owns the database.]:value: ' \
    '--stack-durability=[Of replica and receiver, commits wait for none, for one of them, or for both; until `lifeboat durability` chooses otherwise.]:value:(async quorum strict)' \
    '--stack-daemon=[Whether `lifeboat up` starts the daemon, which watches the stack and moves the primary role.]:value:(on off)' \
    '--stack-service=[Whether `lifeboat up` starts the service\: the catalogue'\''s API behind the balancer, the MCP service and the scraper-scheduler.]:value:(on off)' \
    '--stack-feeds=[What the scraper-scheduler reads beside sources in the database\: the feeds of eight made-up merchants, or nothing.]:value:(made-up none)' \
    '--stack-front-port=[The balancer'\''s port, which leads to the API.]:value: ' \
    '--stack-mcp-port=[Port of the MCP service.]:value: ' \
    '--stack-read-port=[The balancer'\''s port that leads to a server to read from.]:value: ' \
    '--stack-db-port=[Port of the primary.]:value: ' \
    '--stack-replica-port=[Port of the replica.]:value: ' \
    '--stack-pooler-port=[Port of PgBouncer.]:value: ' \
    '--stack-redis-port=[Port of redis.]:value: ' \
    '--stack-api=[Instances of an API that others run, as host\:port with commas between\: the front leads to them, too.]:value: ' \
    '--stack-private-webhooks=[Whether webhooks may lead to this machine and to private networks\: whoever has a key then has the API call them.]:value:(on off)' \
    '--stack-trusted-proxies=[Networks of proxies before the front and the MCP service\: what these say in X-Forwarded-For is believed.]:value: ' \
    '--stack-max-connections=[Connections a node takes (max_connections).]:value: ' \
    '--stack-shared-buffers=[Memory of a node for pages (shared_buffers).]:value: ' \
    '--stack-slot-wal-max=[Most WAL the primary keeps for a replica or receiver that is away (max_slot_wal_keep_size).]:value: ' \
    '--stack-cache-memory-max=[Most memory of redis.]:value: ' \
    '--stack-programs-dir=[Folder that is looked into first for redis-server, pgbouncer and haproxy.]:value:_files -/' \
    '--stack-cache-policy=[What goes when redis'\'' memory is full.]:value:(allkeys-lru allkeys-lfu volatile-lru volatile-ttl noeviction)' \
    '--failover-automatic=[Whether a dead primary is replaced without asking. Never without proof that nothing acknowledged is lost, so never in async.]:value:(on off)' \
    '--failover-silent-after=[A server that does not answer counts as gone after this\: what tells frozen from slow.]:value: ' \
    '--failover-refused-after=[A machine that answers and on whose port nobody listens counts as a dead server after this.]:value: ' \
    '--failover-starting-after=[A server that restarts after a crash of its own is given this long.]:value: ' \
    '--failover-stuck-after=[A server that takes sessions and finishes no write counts as gone after this.]:value: ' \
    '--failover-disk-full=[When the primary'\''s disk is full\: wait for a person, or move to a node with room.]:value:(hold failover)' \
    '--failover-webhook=[Told of every failover, as JSON by POST.]:value: ' \
    '--failover-hook-command=[Shell command run for every event\: JSON on its input, the kind in LIFEBOAT_EVENT.]:value: ' \
    '--failover-etcd-endpoints=[etcd that grants the right to act, for controllers on several machines; URLs with commas between.]:value: ' \
    '--failover-etcd-prefix=[Where its keys lie in etcd.]:value: ' \
    '--failover-etcd-ttl=[How long others wait for a controller that is gone, in whole seconds; an orderly stop of a node must fit in.]:value: ' \
    '--postgres-bin-dir=[Folder of the server'\''s programs (postgres, initdb, pg_ctl).]:value:_files -/' \
    '--postgres-run-as=[User that servers run as when Lifeboat is started by root.]:value: ' \
    '1: :->command' '*:: :->rest'
  case $state in
    command) _describe command commands ;;
    rest)
      case $line[1] in
        pause|resume) _lifeboat_failover_$line[1] ;;
      esac ;;
  esac
}
_lifeboat_config() {
  local context state state_descr line curcontext="$curcontext"
  typeset -A opt_args
  local -a commands
  commands=(
    'explain:Show every setting and where its value comes from'
    'render:Show the configuration of each program of the stack'
  )
  _arguments -C \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '1: :->command' '*:: :->rest'
  case $state in
    command) _describe command commands ;;
    rest)
      case $line[1] in
        explain|render) _lifeboat_config_$line[1] ;;
      esac ;;
  esac
}
_lifeboat() {
  local context state state_descr line curcontext="$curcontext"
  typeset -A opt_args
  local -a commands
  commands=(
    'doctor:Check that server and machine are fit to be protected'
    'status:Show what can be recovered now, and what is wrong'
    'vault:vault commands'
    'backup:Take a backup of the server'
    'backups:List the backups that can be restored'
    'verify:Prove a backup by restoring, booting and checking it'
    'prune:Remove the backups and the WAL that the retention policy lets go'
    'points:Show which moments can be restored'
    'wal:wal commands'
    'restore:Restore a backup and replay WAL'
    'probe:Write and read at a fixed rate, and tell what clients get'
    'up:Bring up the stack\: primary, replica, pooler, balancer, cache, receiver'
    'down:Take the stack down'
    'ps:Show what the stack'\''s components are doing'
    'logs:Show what the stack'\''s components write'
    'restart:Restart one component of the stack'
    'scale:Run more or fewer programs of a component of the stack'
    'exec:Run a command where a component of the stack runs'
    'durability:Show or change how many confirmers a commit of the stack waits for'
    'replication:Watch how far replica and receiver are behind the primary'
    'pooler:pooler commands'
    'failover:Say whether the primary can be replaced, and replace it'
    'switchover:Move the primary role to another node, without a failed query'
    'rebuild:Make a node that is down or has diverged a replica again'
    'daemon:Watch the stack, and replace its primary when it is gone'
    'demo:Back up a live server, destroy it, restore it, and count what is missing'
    'config:config commands'
    'completion:Print a shell completion script'
  )
  _arguments -C \
    '--config=[Configuration file.]:value:_files' \
    '--json[Print JSON.]' \
    '--verbose[Say more.]' \
    '--quiet[Show no progress.]' \
    '--no-color[Use no colours.]' \
    '--help[Show help.]' \
    '1: :->command' '*:: :->rest'
  case $state in
    command) _describe command commands ;;
    rest)
      case $line[1] in
        doctor|status|vault|backup|backups|verify|prune|points|wal|restore|probe|up|down|ps|logs|restart|scale|exec|durability|replication|pooler|failover|switchover|rebuild|daemon|demo|config|completion) _lifeboat_$line[1] ;;
      esac ;;
  esac
}
if [[ ${funcstack[1]} == _lifeboat ]]; then _lifeboat "$@"; else compdef _lifeboat lifeboat; fi
