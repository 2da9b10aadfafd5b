# Runs once in the container that becomes the node image: turns a Debian with kind's files into a
# node whose systemd starts containerd and the kubelet, and nothing else.
set -eu

# Units that would reach for the host's devices, or wipe what kind lays out at the start.
rm -f /lib/systemd/system/multi-user.target.wants/* \
	/lib/systemd/system/local-fs.target.wants/* \
	/lib/systemd/system/basic.target.wants/* \
	/lib/systemd/system/sockets.target.wants/*udev* \
	/lib/systemd/system/sockets.target.wants/*initctl* \
	/lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service \
	/etc/systemd/system/*.wants/*
# kind's own unit, in /etc, takes its place.
rm -f /lib/systemd/system/containerd.service
systemctl enable kubelet.service containerd.service undo-mount-hacks.service
systemctl mask systemd-binfmt.service

# The kernel's messages are the host's.
sed -i '/^ReadKMsg/d' /etc/systemd/journald.conf
echo 'ReadKMsg=no' >>/etc/systemd/journald.conf

# No limits of ours for pods, and as few demands on the host as a rootless node has.
ctr oci spec | jq 'del(.process.rlimits)' >/etc/containerd/cri-base.json
sed -i 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' /etc/containerd/config.toml
grep -q 'restrict_oom_score_adj = true' /etc/containerd/config.toml

mkdir -p /etc/kubernetes/manifests
