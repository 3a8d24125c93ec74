# Asks the build that watches in this folder (src/cli/build-answers.ts) for what `slipway build` was asked for, and is an ordinary
# start of it where that does not answer. bash, because it speaks TCP by itself: a start of Node takes longer than a small build.
# Run by bin/slipway, with the path of start.mjs, which tells the other end whose question it is, and the words of the command.
#
# The environment is that of the build which may follow: no name is set here that somebody could have exported.

alone() {
  set +p # else it would go on in a SHELLOPTS that is exported
  trap - PIPE
  export SLIPWAY_UNANSWERED=1
  exec "${0%/*}/slipway" "${@:2}"
}

{ read -r -n 200 < .slipway/build/watch; } 2>/dev/null || alone "$@"
[[ $REPLY =~ ^([0-9]+)' '([^ ]+)' '([^ ]+)$ ]] || alone "$@"
# Of `exec` alone a failure would be the end, where POSIXLY_CORRECT is set.
{ command exec {slipway_answers}<>"/dev/tcp/127.0.0.1/${BASH_REMATCH[1]}"; } 2>/dev/null || alone "$@"
# Who reads may leave, as may the other end; the build goes on.
trap '' PIPE
printf '%s %s\n' "${BASH_REMATCH[2]}" "$$" 2>/dev/null >&"$slipway_answers"
# What is stopped (Ctrl-Z) does not answer, and what has its port since does not know the second secret.
read -r -t 5 -u "$slipway_answers" 2>/dev/null
if [[ $REPLY != "+${BASH_REMATCH[3]}" ]]; then
  exec {slipway_answers}>&-
  alone "$@"
fi
# What is closed from the beginning is not missed.
[[ -e /proc/self/fd/1 ]] || exec >/dev/null
# However long it builds: a TMOUT is for those who type.
while TMOUT=0 read -r -u "$slipway_answers" 2>/dev/null; do
  case $REPLY in
    1*)
      printf '%s\n' "${REPLY:1}" 2>/dev/null || {
        exec >/dev/null
        echo "slipway: the output cannot be written any more; going on without it" >&2
      }
      ;;
    2*) printf '%s\n' "${REPLY:1}" >&2 ;;
    =*) exit "${REPLY:1}" ;;
  esac
done
echo "slipway: the build that watches here has ended; going on without it" >&2
exec {slipway_answers}>&-
alone "$@"
