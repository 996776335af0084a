#!/usr/bin/env bash
# A Slurm of one machine with two stand-in GPUs, for trying `crma run --executor slurm` where there is none.
# Needs root and Debian's packages slurm-wlm and munge: slurm_one_machine.sh start|stop FOLDER
set -euo pipefail
dir=$(mkdir -p "$2" && cd "$2" && pwd); host=$(hostname -s); cpus=$(nproc)
stop() {
  for f in slurmd slurmctld; do [ -f "$dir/$f.pid" ] && kill "$(cat "$dir/$f.pid")" 2>/dev/null || true; done
  pkill -F "$dir/munged.pid" 2>/dev/null || true
}
if [ "$1" = stop ]; then stop; exit 0; fi

mkdir -p "$dir/spool" "$dir/state" /run/munge
chown -R munge:munge /run/munge /etc/munge /var/lib/munge /var/log/munge
[ -f /etc/munge/munge.key ] || { dd if=/dev/urandom of=/etc/munge/munge.key bs=1024 count=1 status=none; chown munge:munge /etc/munge/munge.key; chmod 400 /etc/munge/munge.key; }
pgrep -x munged >/dev/null || runuser -u munge -- /usr/sbin/munged --force

cat > "$dir/gres.conf" <<EOF
Name=gpu File=/dev/tty0
Name=gpu File=/dev/tty1
EOF
for t in /dev/tty0 /dev/tty1; do [ -e $t ] || touch $t; done
cat > "$dir/slurm.conf" <<EOF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
SlurmUser=root
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ReturnToService=2
SchedulerParameters=batch_sched_delay=1,sched_interval=2
MessageTimeout=30
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=8000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE OverSubscribe=FORCE:4 State=UP
EOF
export SLURM_CONF="$dir/slurm.conf"
/usr/sbin/slurmctld -f "$dir/slurm.conf"
/usr/sbin/slurmd -f "$dir/slurm.conf" -N "$host"
for _ in $(seq 60); do sinfo -h -o %T 2>/dev/null | grep -q idle && break; sleep .5; done
sinfo
echo "SLURM_CONF=$dir/slurm.conf"
