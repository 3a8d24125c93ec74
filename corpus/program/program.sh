#!/bin/busybox sh
# The service of every case: an HTTP server on 8080 whose fate the manifest's environment decides.
#
#   SLOW_SECONDS=5      listens only after this long
#   UNREADY=1           /ready answers 500; UNREADY_SECONDS=30 only that long after the start
#   HANG=1              /ready is never answered
#   FLAP_SECONDS=10     after this long /ready answers 500 for 8 seconds, once
#   UNHEALTHY=1         /healthy answers 500; UNHEALTHY_AFTER=20 only after this many seconds
#   EXIT_AFTER=2        ends after this many seconds with EXIT_CODE (default 1) or by SIGNAL (SEGV, ABRT, KILL, …)
#   EAT_MEGABYTES=200   takes this much memory after EXIT_AFTER (default 1) seconds
#   ONCE=/once/mark     each fate above happens once only: the file remembers it
#   SAY="text"          is written to standard error before the end
#   STUBBORN=1          does not end when it is told to
bb=/bin/busybox
root=/tmp/www
$bb mkdir -p $root/cgi-bin /tmp/state
echo "release ${VERSION:-1}: starting"

if [ -n "$ONCE" ] && [ -e "$ONCE" ]; then
  unset SLOW_SECONDS UNREADY UNREADY_SECONDS UNHEALTHY UNHEALTHY_AFTER EXIT_AFTER EAT_MEGABYTES FLAP_SECONDS
elif [ -n "$ONCE" ]; then
  $bb touch "$ONCE"
fi

end() {
  [ -n "$SAY" ] && echo "$SAY" >&2
  if [ -n "$SIGNAL" ]; then
    # The first process of a pid namespace cannot kill itself; a child that dies of the signal gives the same exit code.
    $bb sh -c "kill -$SIGNAL \$\$"
    exit $?
  fi
  exit "${EXIT_CODE:-1}"
}

[ "$EXIT_AFTER" = 0 ] && end
[ -n "$SLOW_SECONDS" ] && $bb sleep "$SLOW_SECONDS"

answer() { # NAME COMMAND…: a page that is 200 as long as the file of its name is absent
  {
    echo '#!/bin/busybox sh'
    echo "if [ -e /tmp/state/$1 ]; then printf 'Status: 500 Internal Server Error\r\n\r\nno: $1\n'; else printf 'Content-Type: text/plain\r\n\r\nok\n'; fi"
  } >$root/cgi-bin/"$1"
  $bb chmod +x $root/cgi-bin/"$1"
}
answer ready
answer healthy
[ -n "$HANG" ] && printf '#!/bin/busybox sh\n/bin/busybox sleep 3600\n' >$root/cgi-bin/ready
[ -n "$UNREADY" ] && $bb touch /tmp/state/ready
[ -n "$UNHEALTHY" ] && $bb touch /tmp/state/healthy
if [ -n "$UNREADY_SECONDS" ]; then
  $bb touch /tmp/state/ready
  ($bb sleep "$UNREADY_SECONDS" && $bb rm /tmp/state/ready) &
fi
[ -n "$UNHEALTHY_AFTER" ] && ($bb sleep "$UNHEALTHY_AFTER" && $bb touch /tmp/state/healthy) &
[ -n "$FLAP_SECONDS" ] && ($bb sleep "$FLAP_SECONDS" && $bb touch /tmp/state/ready && $bb sleep 8 && $bb rm /tmp/state/ready) &

$bb httpd -f -p "${PORT:-8080}" -h $root &
server=$!
echo "release ${VERSION:-1}: listening on ${PORT:-8080}"
[ -z "$STUBBORN" ] && trap 'kill $server; echo "told to stop"; exit 0' TERM
[ -n "$STUBBORN" ] && trap 'echo "told to stop, goes on"' TERM

if [ -n "$EAT_MEGABYTES" ]; then
  $bb sleep "${EXIT_AFTER:-1}" &
  wait $!
  echo "filling the cache" >&2
  # The shell keeps the text in memory; the limit of the container ends it.
  text=$($bb dd if=/dev/zero bs=1M count="$EAT_MEGABYTES" 2>/dev/null | $bb tr '\0' x)
  echo "holds ${#text} bytes"
elif [ -n "$EXIT_AFTER" ]; then
  $bb sleep "$EXIT_AFTER" &
  wait $!
  end
fi
while :; do wait $server; $bb kill -0 $server 2>/dev/null || exit 1; done
