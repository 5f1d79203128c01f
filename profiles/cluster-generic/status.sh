#!/bin/sh
# status.sh JOB: print running, success or failed for a job of Grid Engine.
# If Grid Engine does not answer, the job counts as running: a short outage fails nothing.
if ! answer=$(qstat -j "$1" 2>&1); then
    case $answer in
    *"do not exist"*) ;;
    *) echo running && exit ;;
    esac
    for _ in $(seq "${ACCOUNTING_DELAY:-30}"); do # accounting knows a job some seconds after its end
        if record=$(qacct -j "$1" 2> /dev/null); then
            if echo "$record" | grep -Eq '^failed +0' && echo "$record" | grep -Eq '^exit_status +0'; then
                echo success
            else
                echo failed
            fi
            exit
        fi
        sleep 1
    done
    echo failed && exit
fi
echo running
