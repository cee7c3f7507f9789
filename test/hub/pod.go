// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"k8s.io/client-go/tools/clientcmd"
)

// serviceAccountDir is where a pod finds what it has of its ServiceAccount.
const serviceAccountDir = "/var/run/secrets/kubernetes.io/serviceaccount"

// pod is what a process has of a pod without a kubelet: a file system that is all it sees, a user, and variables. Limits and the other
// namespaces of a container are not there, nor are /proc and /dev.
type pod struct {
	root       string
	user       uint32
	group      uint32
	env        []string
	tls, data  string // directories, in the file system
	serverArgs []string
}

// enter has a command be run in the pod.
func (p *pod) enter(cmd *exec.Cmd) {
	cmd.Dir, cmd.Env = "/", p.env
	cmd.SysProcAttr.Chroot = p.root
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: p.user, Gid: p.group}
}

// serverPod is the pod of artifacts/deploy/base in the file system of the image, empty of what a kubelet would mount.
func (e *Environment) serverPod() (*pod, error) {
	base, err := readOverlay(e.root, "base")
	if err != nil {
		return nil, err
	}
	mounts := map[string]string{}
	for _, m := range base.container.VolumeMounts {
		mounts[m.Name] = m.MountPath
	}
	security := base.security
	if mounts["tls"] == "" || mounts["data"] == "" || security == nil || security.RunAsUser == nil || security.RunAsGroup == nil {
		return nil, errors.New("artifacts/deploy/base: want mounts of tls and data, a user and a group")
	}
	env := []string{"KUBERNETES_SERVICE_HOST=" + loopback, "KUBERNETES_SERVICE_PORT=" + strconv.Itoa(e.state.Ports[apiserverName(HubName)])}
	for _, v := range base.container.Env {
		env = append(env, v.Name+"="+v.Value)
	}
	return &pod{
		root: e.image, user: uint32(*security.RunAsUser), group: uint32(*security.RunAsGroup), env: env,
		tls: mounts["tls"], data: mounts["data"], serverArgs: base.container.Args,
	}, nil
}

// ensureSingle brings up the one server, on the files of this machine or in the file system of its image.
func (e *Environment) ensureSingle(ctx context.Context, ca *authority) error {
	wanted := e.stagegate(ca)
	if e.image == "" {
		if err := e.moveData(e.dataDir(serverName), os.Getuid(), os.Getgid()); err != nil {
			return err
		}
		return e.ensure(ctx, wanted)
	}
	p, err := e.serverPod()
	if err != nil {
		return err
	}
	if err := e.mount(p); err != nil {
		return err
	}
	if err := e.moveData(filepath.Join(p.root, p.data), int(p.user), int(p.group)); err != nil {
		return err
	}
	wanted.pod, wanted.path = p, "/"+serverName
	wanted.args = append(append(e.listening(serverName), p.serverArgs...), e.state.ServerFlags...)
	return e.ensure(ctx, wanted)
}

// mount writes the files that a kubelet would give the pod, for its user alone.
func (e *Environment) mount(p *pod) error {
	config, err := clientcmd.LoadFromFile(e.componentConfig(serverName))
	if err != nil {
		return err
	}
	user, cluster := config.AuthInfos[serverName], config.Clusters[HubName]
	if user == nil || user.Token == "" || cluster == nil {
		return fmt.Errorf("%s has no token of the server for the hub", e.componentConfig(serverName))
	}
	files := map[string][]byte{
		"/etc/hosts":                     []byte(loopback + " localhost\n"),
		serviceAccountDir + "/token":     []byte(user.Token),
		serviceAccountDir + "/ca.crt":    cluster.CertificateAuthorityData,
		serviceAccountDir + "/namespace": []byte(serverNamespace),
	}
	for _, extension := range []string{".crt", ".key"} {
		data, err := os.ReadFile(e.pki(HubName, serverName+extension))
		if err != nil {
			return err
		}
		files[p.tls+"/tls"+extension] = data
	}
	for name, data := range files {
		path := filepath.Join(p.root, name)
		if err := writeFile(path, data); err != nil {
			return err
		}
		if err := os.Chown(path, int(p.user), int(p.group)); err != nil {
			return err
		}
	}
	return nil
}

// moveData has the data of the server be in a directory and belong to a user. Where it is not the usual one, a link there leads to it. A server
// that runs on data elsewhere is stopped first. Data that is there already is not replaced.
func (e *Environment) moveData(target string, user, group int) error {
	usual := e.dataDir(serverName)
	from, err := os.Readlink(usual)
	linked := err == nil
	switch {
	case errors.Is(err, os.ErrNotExist):
		// A server that has never run.
		if err := os.MkdirAll(usual, 0o700); err != nil {
			return err
		}
		from = usual
	case errors.Is(err, syscall.EINVAL):
		from = usual
	case err != nil:
		return err
	}
	if from == target {
		return nil
	}
	if err := e.stop(serverName); err != nil {
		return err
	}
	if err := filepath.WalkDir(from, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, user, group)
	}); err != nil {
		return err
	}
	if linked {
		if err := os.Remove(usual); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	if err := os.Rename(from, target); err != nil {
		return err
	}
	if target == usual {
		return nil
	}
	return os.Symlink(target, usual)
}
