# Asks the build that watches in this folder (src/cli/build-answers.ts) for what `slipway build` was asked for, and is an ordinary
# start of it where that does not answer. bash, because it speaks TCP by itself: a start of Node takes longer than a small build.
# Run by bin/slipway, with the path of start.mjs and the words of the command.
bin=${0%/*}
start=$1
shift

alone() {
  export SLIPWAY_UNANSWERED=1
  exec "$bin/slipway" "$@"
}

{ read -r port token < .slipway/build/watch; } 2>/dev/null || alone "$@"
case $port in '' | *[!0-9]*) alone "$@" ;; esac
{ exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null || alone "$@"
trap : PIPE # it has gone meanwhile
printf '%s %s\n' "$token" "$$" 2>/dev/null >&3
trap - PIPE
# What is stopped (Ctrl-Z) does not answer.
IFS= read -r -t 5 answer <&3
case $answer in
  +) ;;
  *) exec 3>&-; alone "$@" ;;
esac
while IFS= read -r line <&3; do
  case $line in
    1*) printf '%s\n' "${line:1}" ;;
    2*) printf '%s\n' "${line:1}" >&2 ;;
    =*) exit "${line:1}" ;;
  esac
done
echo "slipway: the build that watches here has ended; going on without it" >&2
exec 3>&-
alone "$@"
