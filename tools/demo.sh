#!/usr/bin/env bash
# The main job on this machine's own text: sorts more of it than memory may hold, does the same with GNU
# sort at the same memory and threads, compares the outputs byte for byte and shows both times.
#
# Usage: tools/dev demo [--max_mib=N] [--dir=DIR]
#   --max_mib   gather at most so much text (512)
#   --dir       where to work, on a real disk; about four times the text must fit (/var/tmp)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly mib=$((1024 * 1024))
readonly wanted_mib=200

die() {
  echo "demo: $*" >&2
  exit 1
}

max_mib=512
base=/var/tmp
for argument in "$@"; do
  case $argument in
    --max_mib=*) max_mib=${argument#*=} ;;
    --dir=*) base=${argument#*=} ;;
    *)
      echo "demo: unknown argument $argument; see the head of tools/demo.sh" >&2
      exit 2
      ;;
  esac
done
[[ $max_mib =~ ^[1-9][0-9]{0,6}$ ]] || die "--max_mib must be a number of MiB, not '$max_mib'"
[[ -d $base && -w $base ]] || die "cannot write to $base; choose another place with --dir"
case $(stat -f -c %T -- "$base") in
  tmpfs | ramfs) die "$base is memory, not a disk; choose another place with --dir" ;;
esac

work=$(mktemp -d "$base/spillway-demo.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$work/input" "$work/spill" "$work/gnu"

echo "== building"
bazel build //tools:spillway
spillway=$(bazel info bazel-bin)/tools/spillway/spillway

# --- Gathering text -------------------------------------------------------------------------------

# The text and the two outputs, and what either sort puts aside.
free_mib=$(($(stat -f -c '%a * %S' -- "$base") / mib))
((max_mib * 4 <= free_mib)) || max_mib=$((free_mib / 4))
((max_mib >= 32)) || die "$base has $free_mib MiB free, the demo needs at least 128"

# Names the text files under the given folders, each file once however many names it has, NUL between them.
text_files() {
  # `grep -I ''` matches any file that has a line and no NUL byte in its beginning.
  find "$@" -xdev -type f -size +0 ! -name '*.gz' -readable -printf '%D:%i %p\0' 2>/dev/null |
    LC_ALL=C sort -z -u -t ' ' -k 1,1 | cut -z -d ' ' -f 2- |
    LC_ALL=C xargs -0 -r grep -I -l -Z '' 2>/dev/null || true
}

gzip_files() { find "$@" -xdev -type f -name '*.gz' -readable -print0 2>/dev/null || true; }

echo "== gathering text"
folders=()
for folder in /usr/include /usr/share /usr/lib /usr/src /var/lib/dpkg /var/lib/apt/lists; do
  [[ -d $folder ]] && folders+=("$folder")
done
# `head` ends the gathering at the limit; what then writes into a closed pipe is no error.
{
  text_files "${folders[@]}" | xargs -0 -r cat 2>/dev/null || true
  gzip_files /usr/share | xargs -0 -r gzip -dcq 2>/dev/null || true
} | head -c "$((max_mib * mib))" | split --bytes=64MiB - "$work/input/text." || true

bytes=$(du -sb --apparent-size -- "$work"/input/* 2>/dev/null | awk '{ sum += $1 } END { print sum + 0 }')
lines=$(cat -- "$work"/input/* | wc -l)
((bytes >= 16 * mib)) || die "found only $((bytes / mib)) MiB of text on this machine: too little to show"
printf '   %d MiB of text, %d lines, from %s\n' $((bytes / mib)) "$lines" "${folders[*]}"
((bytes >= wanted_mib * mib)) ||
  echo "   this machine has no more; $wanted_mib MiB or more would tell more"

# --- Sorting --------------------------------------------------------------------------------------

# An eighth of the text, rounded down to KiB, and not below the least that a store takes.
memory_kib=$((bytes / 8 / 1024))
((memory_kib >= 16 * 1024)) || memory_kib=$((16 * 1024))
threads=$(nproc)

seconds_of() { # NAME COMMAND...: runs it, prints to fd 3 how long it took
  local name=$1 start=$EPOCHREALTIME
  shift
  "$@" || die "$name failed"
  awk -v start="$start" -v end="$EPOCHREALTIME" 'BEGIN { printf "%.2f\n", end - start }' >&3
}

run_ours() {
  "$spillway" sort --memory_limit="${memory_kib}KiB" --spill_dir="$work/spill" \
    --output="$work/ours" "$work"/input/*
}

run_gnu() {
  LC_ALL=C sort -S "${memory_kib}K" --parallel="$threads" -T "$work/gnu" -o "$work/theirs" \
    -- "$work"/input/*
}

echo "== sorting with spillway, memory limit $((memory_kib / 1024)) MiB"
sync -f "$work"
seconds_of "spillway sort" run_ours 3>"$work/ours.seconds"

echo "== sorting with GNU sort, -S $((memory_kib / 1024)) MiB, $threads threads"
sync -f "$work"
seconds_of "GNU sort" run_gnu 3>"$work/theirs.seconds"

echo "== comparing"
cmp -- "$work/ours" "$work/theirs" || die "the outputs differ"

ours_s=$(<"$work/ours.seconds")
theirs_s=$(<"$work/theirs.seconds")
echo "   identical, byte for byte"
printf '\n   %-14s %10s %12s\n' "" seconds MiB/s
for row in "spillway sort:$ours_s" "GNU sort:$theirs_s"; do
  awk -v name="${row%:*}" -v seconds="${row##*:}" -v mib="$((bytes / mib))" 'BEGIN {
    printf "   %-14s %10.2f %12.1f\n", name, seconds, (seconds > 0 ? mib / seconds : 0) }'
done
awk -v ours="$ours_s" -v theirs="$theirs_s" 'BEGIN {
  if (ours <= 0 || theirs <= 0) exit
  printf "\n   spillway took %.2f times as long as GNU sort\n", ours / theirs }'
