# Sourced by the scripts that work in stages: `stage NAME COMMAND...` runs a command and remembers how long it took;
# `stage_report` prints the seconds of each stage.
stage_lines=()

stage() {
    local name=$1 from=$SECONDS status=0
    shift
    echo "== $name" >&2
    "$@" || status=$?
    stage_lines+=("$(printf '%6d s  %s%s' $((SECONDS - from)) "$name" "$([ $status = 0 ] || echo '  FAILED')")")
    return $status
}

stage_report() {
    [ ${#stage_lines[@]} -eq 0 ] || printf '%s\n' "${stage_lines[@]}" >&2
}
