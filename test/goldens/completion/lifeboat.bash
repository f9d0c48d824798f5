# bash completion for lifeboat
_lifeboat() {
  local current="${COMP_WORDS[COMP_CWORD]}" previous="" command="" position=0 index word
  COMPREPLY=()
  for ((index = 1; index < COMP_CWORD; index++)); do
    word="${COMP_WORDS[index]}"
    previous="$word"
    case "$word" in
      --config|--server-host|--server-port|--server-user|--server-database|--server-password-file|--server-password-command|--server-tls|--server-ca-file|--server-connect-timeout|--vault-path|--vault-encryption|--vault-passphrase-file|--vault-passphrase-command|--vault-recovery-key-file|--vault-identity-file|--folders-state|--folders-spool|--folders-sandbox|--receiver-slot|--receiver-application-name|--receiver-status-interval|--receiver-delay|--postgres-bin-dir|--postgres-run-as|--status-backup-max-age|--passphrase-file|--age|--label|--tier|--checkpoint|--backup-checkpoint|--backup-compression-level|--backup-max-rate|--reason|--remove|--retention-hourly|--retention-daily|--retention-weekly|--retention-manual-days|--retention-grace|--mode|--system|--target|--to|--to-time|--backup|--tablespace|--tablespaces-under|--port|--restore-boot-timeout|--size|--seconds|--pg|--durability)
        # The value is the next word, unless the cursor stands on it; bash splits --option=value into three words.
        [[ ${COMP_WORDS[index+1]} == '=' ]] && ((index++))
        if ((index + 1 < COMP_CWORD)); then ((index++)); previous=""; fi
        continue ;;
      -*) continue ;;
    esac
    if [[ -z $command ]]; then command="$word"
    elif [[ $position -eq 0 ]]; then
      case "$command" in
        vault|backup|wal|config) command="$command $word" ;;
        *) position=1 ;;
      esac
    else ((position++)); fi
  done
  [[ $current == '=' ]] && current=""
  case "$command $previous" in
    'doctor --server-host')  return ;;
    'doctor --server-port')  return ;;
    'doctor --server-user')  return ;;
    'doctor --server-database')  return ;;
    'doctor --server-password-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'doctor --server-password-command')  return ;;
    'doctor --server-tls') mapfile -t COMPREPLY < <(compgen -W 'verify-full require disable' -- "$current"); return ;;
    'doctor --server-ca-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'doctor --server-connect-timeout')  return ;;
    'doctor --vault-path') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'doctor --vault-encryption') mapfile -t COMPREPLY < <(compgen -W 'on off' -- "$current"); return ;;
    'doctor --vault-passphrase-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'doctor --vault-passphrase-command')  return ;;
    'doctor --vault-recovery-key-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'doctor --vault-identity-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'doctor --folders-state') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'doctor --folders-spool') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'doctor --folders-sandbox') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'doctor --receiver-slot')  return ;;
    'doctor --receiver-application-name')  return ;;
    'doctor --receiver-status-interval')  return ;;
    'doctor --receiver-delay')  return ;;
    'doctor --postgres-bin-dir') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'doctor --postgres-run-as')  return ;;
    'status --server-host')  return ;;
    'status --server-port')  return ;;
    'status --server-user')  return ;;
    'status --server-database')  return ;;
    'status --server-password-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'status --server-password-command')  return ;;
    'status --server-tls') mapfile -t COMPREPLY < <(compgen -W 'verify-full require disable' -- "$current"); return ;;
    'status --server-ca-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'status --server-connect-timeout')  return ;;
    'status --vault-path') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'status --vault-encryption') mapfile -t COMPREPLY < <(compgen -W 'on off' -- "$current"); return ;;
    'status --vault-passphrase-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'status --vault-passphrase-command')  return ;;
    'status --vault-recovery-key-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'status --vault-identity-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'status --folders-state') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'status --folders-spool') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'status --folders-sandbox') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'status --receiver-slot')  return ;;
    'status --receiver-application-name')  return ;;
    'status --receiver-status-interval')  return ;;
    'status --receiver-delay')  return ;;
    'status --status-backup-max-age')  return ;;
    'vault init --vault-path') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'vault init --vault-encryption') mapfile -t COMPREPLY < <(compgen -W 'on off' -- "$current"); return ;;
    'vault init --vault-passphrase-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'vault init --vault-passphrase-command')  return ;;
    'vault init --vault-recovery-key-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'vault init --vault-identity-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'vault check --vault-path') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'vault check --vault-encryption') mapfile -t COMPREPLY < <(compgen -W 'on off' -- "$current"); return ;;
    'vault check --vault-passphrase-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'vault check --vault-passphrase-command')  return ;;
    'vault check --vault-recovery-key-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'vault check --vault-identity-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'vault key --passphrase-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'vault key --age')  return ;;
    'vault key --label')  return ;;
    'vault key --vault-path') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'vault key --vault-encryption') mapfile -t COMPREPLY < <(compgen -W 'on off' -- "$current"); return ;;
    'vault key --vault-passphrase-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'vault key --vault-passphrase-command')  return ;;
    'vault key --vault-recovery-key-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'vault key --vault-identity-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'backup --label')  return ;;
    'backup --tier') mapfile -t COMPREPLY < <(compgen -W 'hourly daily weekly manual' -- "$current"); return ;;
    'backup --checkpoint') mapfile -t COMPREPLY < <(compgen -W 'fast spread' -- "$current"); return ;;
    'backup --server-host')  return ;;
    'backup --server-port')  return ;;
    'backup --server-user')  return ;;
    'backup --server-database')  return ;;
    'backup --server-password-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'backup --server-password-command')  return ;;
    'backup --server-tls') mapfile -t COMPREPLY < <(compgen -W 'verify-full require disable' -- "$current"); return ;;
    'backup --server-ca-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'backup --server-connect-timeout')  return ;;
    'backup --vault-path') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'backup --vault-encryption') mapfile -t COMPREPLY < <(compgen -W 'on off' -- "$current"); return ;;
    'backup --vault-passphrase-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'backup --vault-passphrase-command')  return ;;
    'backup --vault-recovery-key-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'backup --vault-identity-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'backup --folders-state') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'backup --folders-spool') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'backup --folders-sandbox') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'backup --receiver-slot')  return ;;
    'backup --receiver-application-name')  return ;;
    'backup --receiver-status-interval')  return ;;
    'backup --receiver-delay')  return ;;
    'backup --backup-checkpoint') mapfile -t COMPREPLY < <(compgen -W 'fast spread' -- "$current"); return ;;
    'backup --backup-compression-level')  return ;;
    'backup --backup-max-rate')  return ;;
    'backup hold --reason')  return ;;
    'backup hold --vault-path') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'backup hold --vault-encryption') mapfile -t COMPREPLY < <(compgen -W 'on off' -- "$current"); return ;;
    'backup hold --vault-passphrase-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'backup hold --vault-passphrase-command')  return ;;
    'backup hold --vault-recovery-key-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'backup hold --vault-identity-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'backup release --vault-path') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'backup release --vault-encryption') mapfile -t COMPREPLY < <(compgen -W 'on off' -- "$current"); return ;;
    'backup release --vault-passphrase-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'backup release --vault-passphrase-command')  return ;;
    'backup release --vault-recovery-key-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'backup release --vault-identity-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'backups --vault-path') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'backups --vault-encryption') mapfile -t COMPREPLY < <(compgen -W 'on off' -- "$current"); return ;;
    'backups --vault-passphrase-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'backups --vault-passphrase-command')  return ;;
    'backups --vault-recovery-key-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'backups --vault-identity-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'prune --remove')  return ;;
    'prune --vault-path') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'prune --vault-encryption') mapfile -t COMPREPLY < <(compgen -W 'on off' -- "$current"); return ;;
    'prune --vault-passphrase-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'prune --vault-passphrase-command')  return ;;
    'prune --vault-recovery-key-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'prune --vault-identity-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'prune --folders-state') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'prune --folders-spool') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'prune --folders-sandbox') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'prune --retention-hourly')  return ;;
    'prune --retention-daily')  return ;;
    'prune --retention-weekly')  return ;;
    'prune --retention-manual-days')  return ;;
    'prune --retention-grace')  return ;;
    'points --vault-path') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'points --vault-encryption') mapfile -t COMPREPLY < <(compgen -W 'on off' -- "$current"); return ;;
    'points --vault-passphrase-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'points --vault-passphrase-command')  return ;;
    'points --vault-recovery-key-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'points --vault-identity-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'points --folders-state') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'points --folders-spool') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'points --folders-sandbox') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'wal receive --server-host')  return ;;
    'wal receive --server-port')  return ;;
    'wal receive --server-user')  return ;;
    'wal receive --server-database')  return ;;
    'wal receive --server-password-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'wal receive --server-password-command')  return ;;
    'wal receive --server-tls') mapfile -t COMPREPLY < <(compgen -W 'verify-full require disable' -- "$current"); return ;;
    'wal receive --server-ca-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'wal receive --server-connect-timeout')  return ;;
    'wal receive --vault-path') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'wal receive --vault-encryption') mapfile -t COMPREPLY < <(compgen -W 'on off' -- "$current"); return ;;
    'wal receive --vault-passphrase-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'wal receive --vault-passphrase-command')  return ;;
    'wal receive --vault-recovery-key-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'wal receive --vault-identity-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'wal receive --folders-state') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'wal receive --folders-spool') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'wal receive --folders-sandbox') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'wal receive --receiver-slot')  return ;;
    'wal receive --receiver-application-name')  return ;;
    'wal receive --receiver-status-interval')  return ;;
    'wal receive --receiver-delay')  return ;;
    'wal status --server-host')  return ;;
    'wal status --server-port')  return ;;
    'wal status --server-user')  return ;;
    'wal status --server-database')  return ;;
    'wal status --server-password-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'wal status --server-password-command')  return ;;
    'wal status --server-tls') mapfile -t COMPREPLY < <(compgen -W 'verify-full require disable' -- "$current"); return ;;
    'wal status --server-ca-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'wal status --server-connect-timeout')  return ;;
    'wal status --vault-path') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'wal status --vault-encryption') mapfile -t COMPREPLY < <(compgen -W 'on off' -- "$current"); return ;;
    'wal status --vault-passphrase-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'wal status --vault-passphrase-command')  return ;;
    'wal status --vault-recovery-key-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'wal status --vault-identity-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'wal status --folders-state') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'wal status --folders-spool') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'wal status --folders-sandbox') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'wal status --receiver-slot')  return ;;
    'wal status --receiver-application-name')  return ;;
    'wal status --receiver-status-interval')  return ;;
    'wal status --receiver-delay')  return ;;
    'wal get --mode') mapfile -t COMPREPLY < <(compgen -W 'restore standby' -- "$current"); return ;;
    'wal get --system')  return ;;
    'wal get --vault-path') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'wal get --vault-encryption') mapfile -t COMPREPLY < <(compgen -W 'on off' -- "$current"); return ;;
    'wal get --vault-passphrase-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'wal get --vault-passphrase-command')  return ;;
    'wal get --vault-recovery-key-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'wal get --vault-identity-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'wal get --folders-state') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'wal get --folders-spool') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'wal get --folders-sandbox') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'restore --target') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'restore --to') mapfile -t COMPREPLY < <(compgen -W 'latest time' -- "$current"); return ;;
    'restore --to-time')  return ;;
    'restore --backup')  return ;;
    'restore --system')  return ;;
    'restore --tablespace')  return ;;
    'restore --tablespaces-under') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'restore --port')  return ;;
    'restore --vault-path') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'restore --vault-encryption') mapfile -t COMPREPLY < <(compgen -W 'on off' -- "$current"); return ;;
    'restore --vault-passphrase-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'restore --vault-passphrase-command')  return ;;
    'restore --vault-recovery-key-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'restore --vault-identity-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'restore --folders-state') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'restore --folders-spool') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'restore --folders-sandbox') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'restore --restore-boot-timeout')  return ;;
    'restore --postgres-bin-dir') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'restore --postgres-run-as')  return ;;
    'demo --size')  return ;;
    'demo --seconds')  return ;;
    'demo --pg') mapfile -t COMPREPLY < <(compgen -W '15 16 17 18' -- "$current"); return ;;
    'demo --durability') mapfile -t COMPREPLY < <(compgen -W 'quorum async' -- "$current"); return ;;
    'demo --folders-state') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'demo --folders-spool') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'demo --folders-sandbox') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'demo --receiver-slot')  return ;;
    'demo --receiver-application-name')  return ;;
    'demo --receiver-status-interval')  return ;;
    'demo --receiver-delay')  return ;;
    'demo --restore-boot-timeout')  return ;;
    'demo --postgres-bin-dir') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'demo --postgres-run-as')  return ;;
    'config explain --server-host')  return ;;
    'config explain --server-port')  return ;;
    'config explain --server-user')  return ;;
    'config explain --server-database')  return ;;
    'config explain --server-password-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'config explain --server-password-command')  return ;;
    'config explain --server-tls') mapfile -t COMPREPLY < <(compgen -W 'verify-full require disable' -- "$current"); return ;;
    'config explain --server-ca-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'config explain --server-connect-timeout')  return ;;
    'config explain --vault-path') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'config explain --vault-encryption') mapfile -t COMPREPLY < <(compgen -W 'on off' -- "$current"); return ;;
    'config explain --vault-passphrase-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'config explain --vault-passphrase-command')  return ;;
    'config explain --vault-recovery-key-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'config explain --vault-identity-file') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    'config explain --folders-state') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'config explain --folders-spool') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'config explain --folders-sandbox') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'config explain --receiver-slot')  return ;;
    'config explain --receiver-application-name')  return ;;
    'config explain --receiver-status-interval')  return ;;
    'config explain --receiver-delay')  return ;;
    'config explain --backup-checkpoint') mapfile -t COMPREPLY < <(compgen -W 'fast spread' -- "$current"); return ;;
    'config explain --backup-compression-level')  return ;;
    'config explain --backup-max-rate')  return ;;
    'config explain --retention-hourly')  return ;;
    'config explain --retention-daily')  return ;;
    'config explain --retention-weekly')  return ;;
    'config explain --retention-manual-days')  return ;;
    'config explain --retention-grace')  return ;;
    'config explain --restore-boot-timeout')  return ;;
    'config explain --status-backup-max-age')  return ;;
    'config explain --postgres-bin-dir') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    'config explain --postgres-run-as')  return ;;
    *' --config') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
  esac
  if [[ $current == -* ]]; then
    local options='--config --json --verbose --quiet --no-color --help'
    case "$command" in
      'doctor') options+=' --server-host --server-port --server-user --server-database --server-password-file --server-password-command --server-tls --server-ca-file --server-connect-timeout --vault-path --vault-encryption --vault-passphrase-file --vault-passphrase-command --vault-recovery-key-file --vault-identity-file --folders-state --folders-spool --folders-sandbox --receiver-slot --receiver-application-name --receiver-status-interval --receiver-delay --postgres-bin-dir --postgres-run-as' ;;
      'status') options+=' --server-host --server-port --server-user --server-database --server-password-file --server-password-command --server-tls --server-ca-file --server-connect-timeout --vault-path --vault-encryption --vault-passphrase-file --vault-passphrase-command --vault-recovery-key-file --vault-identity-file --folders-state --folders-spool --folders-sandbox --receiver-slot --receiver-application-name --receiver-status-interval --receiver-delay --status-backup-max-age' ;;
      'vault init') options+=' --vault-path --vault-encryption --vault-passphrase-file --vault-passphrase-command --vault-recovery-key-file --vault-identity-file' ;;
      'vault check') options+=' --read-data --vault-path --vault-encryption --vault-passphrase-file --vault-passphrase-command --vault-recovery-key-file --vault-identity-file' ;;
      'vault key') options+=' --passphrase-file --age --recovery-key --label --vault-path --vault-encryption --vault-passphrase-file --vault-passphrase-command --vault-recovery-key-file --vault-identity-file' ;;
      'backup') options+=' --label --tier --checkpoint --full --adopt-system --server-host --server-port --server-user --server-database --server-password-file --server-password-command --server-tls --server-ca-file --server-connect-timeout --vault-path --vault-encryption --vault-passphrase-file --vault-passphrase-command --vault-recovery-key-file --vault-identity-file --folders-state --folders-spool --folders-sandbox --receiver-slot --receiver-application-name --receiver-status-interval --receiver-delay --backup-checkpoint --backup-compression-level --backup-max-rate' ;;
      'backup hold') options+=' --all --reason --vault-path --vault-encryption --vault-passphrase-file --vault-passphrase-command --vault-recovery-key-file --vault-identity-file' ;;
      'backup release') options+=' --all --vault-path --vault-encryption --vault-passphrase-file --vault-passphrase-command --vault-recovery-key-file --vault-identity-file' ;;
      'backups') options+=' --all --vault-path --vault-encryption --vault-passphrase-file --vault-passphrase-command --vault-recovery-key-file --vault-identity-file' ;;
      'prune') options+=' --dry-run --remove --vault-path --vault-encryption --vault-passphrase-file --vault-passphrase-command --vault-recovery-key-file --vault-identity-file --folders-state --folders-spool --folders-sandbox --retention-hourly --retention-daily --retention-weekly --retention-manual-days --retention-grace' ;;
      'points') options+=' --vault-path --vault-encryption --vault-passphrase-file --vault-passphrase-command --vault-recovery-key-file --vault-identity-file --folders-state --folders-spool --folders-sandbox' ;;
      'wal receive') options+=' --server-host --server-port --server-user --server-database --server-password-file --server-password-command --server-tls --server-ca-file --server-connect-timeout --vault-path --vault-encryption --vault-passphrase-file --vault-passphrase-command --vault-recovery-key-file --vault-identity-file --folders-state --folders-spool --folders-sandbox --receiver-slot --receiver-application-name --receiver-status-interval --receiver-delay' ;;
      'wal status') options+=' --server-host --server-port --server-user --server-database --server-password-file --server-password-command --server-tls --server-ca-file --server-connect-timeout --vault-path --vault-encryption --vault-passphrase-file --vault-passphrase-command --vault-recovery-key-file --vault-identity-file --folders-state --folders-spool --folders-sandbox --receiver-slot --receiver-application-name --receiver-status-interval --receiver-delay' ;;
      'wal get') options+=' --mode --system --vault-path --vault-encryption --vault-passphrase-file --vault-passphrase-command --vault-recovery-key-file --vault-identity-file --folders-state --folders-spool --folders-sandbox' ;;
      'restore') options+=' --target --to --to-time --backup --system --accept-gap --tablespace --tablespaces-under --dry-run --boot --port --vault-path --vault-encryption --vault-passphrase-file --vault-passphrase-command --vault-recovery-key-file --vault-identity-file --folders-state --folders-spool --folders-sandbox --restore-boot-timeout --postgres-bin-dir --postgres-run-as' ;;
      'demo') options+=' --size --seconds --pg --durability --keep --folders-state --folders-spool --folders-sandbox --receiver-slot --receiver-application-name --receiver-status-interval --receiver-delay --restore-boot-timeout --postgres-bin-dir --postgres-run-as' ;;
      'config explain') options+=' --server-host --server-port --server-user --server-database --server-password-file --server-password-command --server-tls --server-ca-file --server-connect-timeout --vault-path --vault-encryption --vault-passphrase-file --vault-passphrase-command --vault-recovery-key-file --vault-identity-file --folders-state --folders-spool --folders-sandbox --receiver-slot --receiver-application-name --receiver-status-interval --receiver-delay --backup-checkpoint --backup-compression-level --backup-max-rate --retention-hourly --retention-daily --retention-weekly --retention-manual-days --retention-grace --restore-boot-timeout --status-backup-max-age --postgres-bin-dir --postgres-run-as' ;;
      'completion') options+=' ' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
    return
  fi
  case "$command $position" in
    ' 0') mapfile -t COMPREPLY < <(compgen -W 'doctor status vault backup backups prune points wal restore demo config completion' -- "$current") ;;
    'vault 0') mapfile -t COMPREPLY < <(compgen -W 'init check key' -- "$current") ;;
    'backup 0') mapfile -t COMPREPLY < <(compgen -W 'hold release' -- "$current") ;;
    'wal 0') mapfile -t COMPREPLY < <(compgen -W 'receive status get' -- "$current") ;;
    'config 0') mapfile -t COMPREPLY < <(compgen -W 'explain' -- "$current") ;;
    'vault key 0') mapfile -t COMPREPLY < <(compgen -W 'list add remove rewrap rotate' -- "$current"); ;;
    'wal get 1') compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current"); ;;
    'completion 0') mapfile -t COMPREPLY < <(compgen -W 'bash zsh fish' -- "$current"); ;;
  esac
}
complete -F _lifeboat lifeboat
