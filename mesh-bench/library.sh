#!/usr/bin/env bash
# The long form of the scenario library: every experiment with ten seeds. Prints the figures and
# compares them with results/library/, byte for byte. `--renew` writes them there instead.
source "$(dirname "$0")/figures.sh"

for file in scenarios/library/*.toml; do
  name=$(basename "$file" .toml)
  # A threshold may be missed with other seeds: the figures are what is compared.
  "$sim" sweep "$file" --seeds 1..10 --out "$new/$name" || [ $? = 4 ]
  cp "$new/$name/comparison.csv" "$new/$name.csv"
  rm -r "${new:?}/$name"
done
compare_or_renew library "$@"
