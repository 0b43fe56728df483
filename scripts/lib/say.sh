# Output of the set-up scripts: one line for what is done, everything when it fails. Sourced, not run.

# step TITLE COMMAND...: says the title, keeps the command's output back unless it fails, and passes its status on.
step() {
  local title=$1 log status=0
  shift
  echo "setup: $title" >&2
  log=$(mktemp)
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if [ "$status" != 0 ]; then
    cat "$log" >&2
    echo "setup: failed ($status): $*" >&2
  fi
  rm -f "$log"
  return "$status"
}
