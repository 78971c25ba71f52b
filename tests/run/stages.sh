# The stages of `./dev test`, sourced by dev. Each check leaves one line in $results:
#   OK|FAIL|SKIP <tab> name <tab> log or reason
# All stages run, whatever failed before; the last line printed is the sum.

results=$logs/results.tsv

record() { printf '%s\t%s\t%s\n' "$1" "$2" "${3:-}" >>"$results"; }

check() { # check NAME COMMAND...: one check, passed if the command returns 0
    local name=$1 log
    shift
    log=$logs/${name//[^A-Za-z0-9_.-]/-}.log
    if "$@" >"$log" 2>&1 </dev/null; then
        record OK "$name"
    elif [ $? = 77 ]; then
        record SKIP "$name" "$(tail -n 1 "$log")"
    else
        record FAIL "$name" "$log"
        return 1
    fi
}

stage() { # stage HEADING FUNCTION...
    local before passed failed skipped started=$SECONDS
    before=$(wc -l <"$results")
    printf '%-44s' "== $1"
    shift
    "$@" || true
    read -r passed failed skipped < <(tail -n +$((before + 1)) "$results" | count)
    printf ' %4d passed %3d failed %3d skipped %5d s\n' \
        "$passed" "$failed" "$skipped" $((SECONDS - started))
}

count() { # lines of results -> passed failed skipped
    awk -F'\t' '{n[$1]++} END {print n["OK"] + 0, n["FAIL"] + 0, n["SKIP"] + 0}'
}

# Sanitizers want their shadow memory where address randomisation may have put something else.
steady() {
    if setarch -R true 2>/dev/null; then setarch -R "$@"; else "$@"; fi
}

build_all() { # build_all NAME DIR CC CXX OPTION...
    local name=$1
    shift
    check "$name" build_in "$@"
}

build_in() { # leaves DIR/built only if all was built, so that nothing old is tested
    rm -f "$1/built"
    configure "$@" && ninja -k 0 -C "$1" && touch "$1/built"
}

meson_tests() { # meson_tests LABEL DIR ARGUMENT...: every meson test counts by itself
    local label=$1 dir=$2 base json
    shift 2
    base=${label//[^a-z0-9]/-}
    json=$dir/meson-logs/$base.json
    rm -f "$json"
    [ -f "$dir/built" ] || { record SKIP "$label" "$dir was not built"; return; }
    steady meson test -C "$dir" --no-rebuild --logbase "$base" "$@" \
        >"$logs/$base.log" 2>&1 </dev/null || true
    if [ -f "$json" ]; then
        python3 tests/run/count.py "$label" "$json" "$logs" >>"$results"
    elif grep -q 'No suitable tests\|No tests defined' "$logs/$base.log"; then
        record SKIP "$label" "there is no such test yet"
    else
        record FAIL "$label" "$logs/$base.log"
    fi
}

check_format() {
    our_sources | xargs -r clang-format --dry-run -Werror
}

sanitized() { # sanitized NAME SANITIZERS MESON_TEST_ARGUMENT...
    local name=$1 sanitizers=$2
    shift 2
    build_all "$name build" "build-$name" clang clang++ \
        "-Db_sanitize=$sanitizers" -Db_lundef=false || return
    ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 \
        UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        TSAN_OPTIONS=halt_on_error=1 \
        meson_tests "$name" "build-$name" -t 5 "$@"
}

check_examples() {
    local found=0
    for example in docs/examples/*.yaml; do
        [ -f "$example" ] || continue
        found=1
        [ -f build/built ] && [ -x build/millrace ] ||
            { record SKIP "$example" "build/millrace was not built"; continue; }
        check "$example" build/millrace check "$example"
    done
    [ $found = 1 ] || record SKIP examples "docs/examples holds none"
}

one_proof() { # runs it and insists on exactly one line of JSON
    local out=$logs/proof.out code=0
    MILLRACE=$PWD/build/millrace MILLRACE_BUILD=$PWD/build "$@" >"$out" || code=$?
    cat "$out"
    [ $code = 0 ] || return $code
    python3 -c 'import json, sys
lines = open(sys.argv[1]).read().splitlines()
assert len(lines) == 1 and isinstance(json.loads(lines[0]), dict), "not one JSON line"' "$out"
}

# A proof may carry a line `# sizes: QUICK NORMAL LONG`: the --size of each, "-" to stay out.
# Without it, it runs as it is, but not in --quick.
check_proofs() {
    local size=$1 column sizes n
    case $size in quick) column=1 ;; normal) column=2 ;; long) column=3 ;; esac
    for proof in tests/prove/*; do
        [ -f "$proof" ] && [ -x "$proof" ] || continue
        sizes=$(sed -n '/^# sizes: */{s///p;q}' "$proof")
        n=$(cut -d' ' -f$column <<<"${sizes:-- . .}")
        [ "$n" = - ] || [ -f build/built ] ||
            { record SKIP "proof ${proof##*/}" "build was not built"; continue; }
        case $n in
            -) ;;
            .) check "proof ${proof##*/}" one_proof "$proof" ;;
            *) check "proof ${proof##*/}" one_proof "$proof" --size "$n" ;;
        esac
    done
    return 0
}

report() {
    local status name rest passed failed skipped
    if grep -q '^SKIP' "$results"; then
        printf '\nSKIPPED, and why:\n'
        awk -F'\t' '$1 == "SKIP" {printf "  %s: %s\n", $2, $3}' "$results"
    fi
    if grep -q '^FAIL' "$results"; then
        printf '\nFAILED:\n'
        while IFS=$'\t' read -r status name rest; do
            [ "$status" = FAIL ] || continue
            printf '  %s (log: %s)\n' "$name" "$rest"
            [ -f "$rest" ] && tail -n 20 "$rest" | sed 's/^/    | /'
        done <"$results"
    fi
    read -r passed failed skipped < <(count <"$results")
    printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    [ "$failed" = 0 ]
}

run_stages() { # run_stages quick|normal|long
    local size=$1 main=${CC:-gcc}
    export MILLRACE_TEST_SIZE=$size # tests with loops worth scaling read it
    : >"$results"
    stage 'format' check format check_format
    stage "build, $main -Werror" build_all "$main build" build "$main" "${CXX:-g++}"
    stage 'unit tests' meson_tests unit build --no-suite house --no-suite fuzz \
        --no-suite oracle
    stage 'house rules' meson_tests house build --suite house
    if [ "$size" != quick ]; then
        stage 'oracle' meson_tests oracle build --suite oracle
        stage 'fuzz corpora' meson_tests fuzz build --suite fuzz
        stage 'build, clang -Werror' build_all 'clang build' build-clang clang clang++
        stage 'unit tests, asan and ubsan' sanitized asan address,undefined \
            --no-suite house --no-suite oracle
        stage 'rings and I/O, tsan' sanitized tsan thread --suite tsan
    fi
    stage 'proofs' check_proofs "$size"
    stage 'examples' check_examples
    report
}
