# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # the files read and set each other's variables
# What would outlive a session, run without it, or leave its bounds.

step_confine() {
  local file changed=
  put "$ROOT/etc/systemd/logind.conf.d/00-postern.conf" 0644 <<'END'
[Login]
KillUserProcesses=yes
KillExcludeUsers=root
RemoveIPC=yes
END
  changed+=$CHANGED
  # A person's own service manager would start what nobody records and nothing
  # ends: logind starts it at each login, and at boot for those who linger. Its
  # folder, which no session sees, would be made and unmade at each.
  for file in user@ user-runtime-dir@; do
    put "$ROOT/etc/systemd/system/$file.service.d/00-postern.conf" 0644 <<'END'
[Unit]
ConditionPathExists=!/opt/postern
END
    changed+=$CHANGED
  done
  rm -f "$ROOT"/var/lib/systemd/linger/*
  put "$ROOT/etc/systemd/system.conf.d/00-postern.conf" 0644 <<'END'
[Manager]
DumpCore=no
DefaultLimitCORE=0
END
  put "$ROOT/etc/systemd/coredump.conf.d/00-postern.conf" 0644 <<'END'
[Coredump]
Storage=none
ProcessSizeMax=0
END
  put "$ROOT/etc/security/limits.d/00-postern.conf" 0644 <<'END'
* hard core 0
@postern hard nproc 256
@postern hard maxlogins 32
END
  for file in cron at; do
    printf 'root\n' | put "$ROOT/etc/$file.allow" 0644
    rm -f "$ROOT/etc/$file.deny"
  done
  # Members of the group that may log in are refused; root's way with su stays.
  first_lines "$ROOT/etc/pam.d/su" <<<"auth required pam_wheel.so deny use_uid group=$PEOPLE_GROUP"
  put "$ROOT/etc/profile.d/00-postern.sh" 0644 <<'END'
umask 077
END
  put "$ROOT/etc/motd" 0644 <<'END'
This bastion records sessions: what is shown, and every program that is started.
END
  if [[ -n $changed ]]; then
    RELOAD=yes
    systemctl try-reload-or-restart systemd-logind 2>/dev/null || note 'logind goes by its new configuration after a reboot only'
  fi
}

# The user manager of the image's user, or of whoever was here before, is gone.
check_confine() {
  local running
  running=$(systemctl list-units --no-legend --plain --state=active 'user@*.service' 2>/dev/null | awk '{ print $1 }') || running=
  if [[ -n $running ]]; then
    DETAIL="there are user managers: ${running//$'\n'/ }"
    return 1
  fi
}
