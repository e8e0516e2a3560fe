#!/usr/bin/env bash
# The pipeline on a real Slurm: a cluster of one node on this machine's loopback, which lives in a temporary folder as long as the run.
#   sudo benchmarks/slurm_here.sh [PROFILE]      (smoke unless named; needs Debian's slurm-wlm and munge, and make setup)
# Shows the queue whenever it changes; ends with status 0 only if every notebook was executed by a job of its own that completed.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${1:-smoke}

fail() { echo "error: $*" >&2; exit 2; }
for program in munged slurmctld slurmd squeue sbatch; do
    command -v "$program" > /dev/null || fail "$program is missing; apt-get install -y --no-install-recommends slurm-wlm munge"
done
[ "$(id -u)" = 0 ] || fail "slurmd starts jobs for users, so this needs root"
[ ! -e /etc/slurm/slurm.conf ] || fail "this machine has a Slurm of its own (/etc/slurm/slurm.conf): make reproduce ON=slurm PROFILE=$profile"
[ -e .venv/.ready ] || fail ".venv is missing; make setup"

folder=$(mktemp -d /tmp/slurm-here.XXXXXX)
daemons=()
clean() {
    scancel --user root 2> /dev/null || true
    sleep 2 # for the jobs to end
    for daemon in "${daemons[@]}"; do kill "$daemon" 2> /dev/null || true; done
    wait
    rm -rf "$folder" /etc/slurm/slurm.conf
}
trap clean EXIT

mkdir -p /etc/slurm
mkdir "$folder/state" "$folder/spool"
dd if=/dev/urandom of="$folder/munge.key" bs=1 count=128 status=none
chmod 600 "$folder/munge.key"
chmod 755 "$folder"
# in its usual place: Snakemake takes the variable SLURM_CONF out of the environment of its jobs
ln -s "$folder/slurm.conf" /etc/slurm/slurm.conf
node=$(hostname -s)
cat > "$folder/slurm.conf" << EOF
ClusterName=here
SlurmctldHost=$node(127.0.0.1)
SlurmUser=root
AuthInfo=socket=$folder/munge.socket
SlurmctldPort=26817
SlurmdPort=26818
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
# no accounting database: finished jobs stay in the queue's memory and in a text file
AccountingStorageType=accounting_storage/none
MinJobAge=86400
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/jobs.txt
$(slurmd -C | head -n 1) NodeAddr=127.0.0.1
PartitionName=here Nodes=ALL Default=YES MaxTime=INFINITE State=UP
EOF

munged --force --foreground --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
    --seed-file="$folder/munge.seed" > "$folder/munged.log" 2>&1 & daemons+=($!)
sleep 1
slurmctld -D > "$folder/slurmctld.log" 2>&1 & daemons+=($!)
slurmd -D > "$folder/slurmd.log" 2>&1 & daemons+=($!)
for _ in $(seq 30); do [ "$(sinfo --noheader --format=%T 2> /dev/null)" = idle ] && break; sleep 1; done
sinfo | grep idle || { tail -n 5 "$folder"/*.log >&2; fail "the node did not come up"; }

watch_queue() { # the queue, whenever it has changed
    local before="" now
    while sleep 2; do
        now=$(squeue --format="%.5i %.10T %.40k %.4C %.7m %.9l %R" --sort=i 2> /dev/null) || continue
        [ "$now" = "$before" ] || { date +%T; echo "$now"; }
        before=$now
    done
}
watch_queue & daemons+=($!)

export TRAFLOW_RESULTS=$folder/results TRAFLOW_RUNS=$folder/runs
status=0
.venv/bin/python -m snakemake --profile profiles/slurm --config profile="$profile" --slurm-status-command squeue \
    --slurm-init-seconds-before-status-checks 5 --slurm-logdir "$folder/logs" --latency-wait 5 || status=$?

echo "jobs as the controller wrote them down:"
sed -E 's/ (UserId|GroupId|Name|WorkDir|ReservationName|Tres|Account|QOS|WcKey|Cluster|SubmitTime|EligibleTime|ArrayJobId|ArrayTaskId|DerivedExitCode)=[^ ]*//g' "$folder/jobs.txt"
completed=$(grep -c "JobState=COMPLETED" "$folder/jobs.txt" || true)
executed=$(find "$folder/results" -path "*/executed/$profile/*.ipynb" ! -name "*.failed.ipynb" 2> /dev/null | wc -l || true)
expected=$(.venv/bin/python -c "from traflow_lib.reports import notebooks; print(len({*notebooks.names('$profile'), '12_paper_tables'}))")
echo "$completed jobs completed, $executed of $expected notebooks executed at profile $profile"
[ "$status" = 0 ] && [ "$executed" = "$expected" ] && [ "$completed" -ge "$expected" ]
