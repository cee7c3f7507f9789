// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Options say what environment is wanted.
type Options struct {
	// Root is the repository. Default: found from the working directory.
	Root string
	// Dir holds everything of the environment except the binaries. Default: _output/hub in Root.
	Dir string
	// Members is the number of member clusters; with 0 there is the hub alone. A later Up may raise it and not lower it.
	Members int
	// Nodes is the number of nodes of each member, on which what is placed there runs, as stages.yaml has it. With 0 a member has
	// neither nodes nor a scheduler, and its workloads get no Pods that run. A later Up may change it. The hub has none.
	Nodes int
	// OldKubernetes has the clusters be of the oldest Kubernetes that a hub may be, and not of that of this module. An environment stays with
	// one of them: etcd may hold what an older one cannot read.
	OldKubernetes bool
	// ServerFlags are passed to stagegate-apiserver after its own.
	ServerFlags []string
	// Service has the server run as the overlay artifacts/deploy/ha has it: two replicas behind the Service, with the flags of the overlay,
	// on an etcd of three nodes with TLS. Default: one server with its etcd within it. A directory is brought up in one of the ways only.
	Service *Service
	// Image is a directory with the file system of stagegate-apiserver's image, in which the server runs as in the pod of
	// artifacts/deploy/base: it sees nothing else, is the user of the pod, has the flags of its container, and knows the hub by what a pod
	// has of its ServiceAccount. Its data directory is moved there, and back by a later Up without Image. Only root may have it, on Linux, and
	// not with Service. Default: the server is built from Root, and runs on the files of this machine.
	Image string
	// Out gets a line for each process started or stopped. Default: nothing is written.
	Out io.Writer
}

// Environment is a hub with its members, as Up left it or Open found it.
type Environment struct {
	supervisor
	*state
	// service and overlay are of an environment with replicas.
	service *Service
	overlay *overlay
	// image is Options.Image.
	image string
}

// Up brings the environment up as wanted and returns when it is ready: every process serves, the APIServices are Available
// and the members Joined. What runs already as wanted is left alone; what was killed comes back on its data and its port.
// After an error, what has been started keeps running: another Up goes on from there, and Down clears it away.
func Up(ctx context.Context, options Options) (*Environment, error) {
	l, err := newLayout(options.Root, options.Dir)
	if err != nil {
		return nil, err
	}
	unlock, err := lock(l)
	if err != nil {
		return nil, err
	}
	defer unlock()

	e, err := prepare(l, options)
	if err != nil {
		return nil, err
	}
	if err := provideKube(ctx, l, options.OldKubernetes, e.out); err != nil {
		return nil, err
	}
	building, buildCtx := errgroup.WithContext(ctx)
	building.Go(func() error { return buildServer(buildCtx, l) })
	building.Go(func() error { return e.ensureClusters(buildCtx) })
	if err := building.Wait(); err != nil {
		return nil, err
	}
	if err := e.ensureServer(ctx); err != nil {
		return nil, err
	}
	return e, e.join(ctx)
}

// prepare settles what the environment is to be, before anything starts.
func prepare(l layout, options Options) (*Environment, error) {
	s, err := loadState(l.stateFile())
	if err != nil {
		return nil, err
	}
	if s == nil {
		s = &state{OldKubernetes: options.OldKubernetes}
	}
	if s.OldKubernetes != options.OldKubernetes {
		return nil, fmt.Errorf("the clusters in %s have another version of Kubernetes than is wanted: take the environment down first", l.dir)
	}
	if options.Image != "" && (os.Geteuid() != 0 || options.Service != nil) {
		return nil, errors.New("a server in the file system of its image: only root may change the root of a process, and it is one server, without a Service")
	}
	if options.Members < s.Members {
		return nil, fmt.Errorf("the environment in %s has %d members and %d are wanted: members are only ever added, take it down first",
			l.dir, s.Members, options.Members)
	}
	s.Members, s.Nodes, s.ServerFlags = options.Members, options.Nodes, options.ServerFlags
	e := newEnvironment(l, s, options.Out)
	e.image = options.Image
	listeners := []string{etcdName, etcdPeers, serverName}
	if e.service = options.Service; e.service != nil {
		if e.overlay, err = readOverlay(l.root, "ha"); err != nil {
			return nil, err
		}
		listeners = append(listeners, e.Replicas()...)
		for _, node := range e.StoreNodes() {
			listeners = append(listeners, node, storePeer(node))
		}
	}
	for _, cluster := range e.Clusters() {
		listeners = append(listeners, apiserverName(cluster), controllerManagerName(cluster))
	}
	if s.Nodes > 0 {
		for _, member := range e.Members() {
			listeners = append(listeners, schedulerName(member), kwokName(member))
		}
	}
	if err := s.choosePorts(listeners...); err != nil {
		return nil, err
	}
	return e, s.save(l.stateFile())
}

func newEnvironment(l layout, s *state, out io.Writer) *Environment {
	if out == nil {
		out = io.Discard
	}
	return &Environment{supervisor: supervisor{layout: l, out: out}, state: s}
}

func (e *Environment) ensureClusters(ctx context.Context) error {
	if err := e.ensure(ctx, e.etcd()); err != nil {
		return err
	}
	starting, ctx := errgroup.WithContext(ctx)
	for _, cluster := range e.Clusters() {
		starting.Go(func() error {
			if err := e.ensureCluster(ctx, cluster); err != nil || cluster == HubName {
				return err
			}
			if err := e.ensureNodes(ctx, cluster); err != nil {
				return fmt.Errorf("nodes of %s: %w", cluster, err)
			}
			return nil
		})
	}
	return starting.Wait()
}

// Open returns the environment that an Up has brought up. Only Root and Dir of the options count. It is an error if there is
// none; whether its processes run is not looked at.
func Open(options Options) (*Environment, error) {
	l, err := newLayout(options.Root, options.Dir)
	if err != nil {
		return nil, err
	}
	s, err := loadState(l.stateFile())
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, fmt.Errorf("there is no environment in %s", l.dir)
	}
	return newEnvironment(l, s, options.Out), nil
}

// Down stops every process that Up started and removes the environment, its data included. The binaries stay. It is no error
// if there is no environment. Only Root, Dir and Out of the options count.
func Down(options Options) error {
	l, err := newLayout(options.Root, options.Dir)
	if err != nil {
		return err
	}
	unlock, err := lock(l)
	if err != nil {
		return err
	}
	defer unlock()
	e := newEnvironment(l, &state{}, options.Out)
	names, err := e.Processes()
	if err != nil {
		return err
	}
	// Each process goes before those it depends on, so that none spends its end retrying.
	for _, tier := range []func(string) bool{
		func(name string) bool { return strings.HasPrefix(name, serverName) },
		func(name string) bool {
			return strings.HasSuffix(name, schedulerName("")) || strings.HasSuffix(name, kwokName(""))
		},
		func(name string) bool { return strings.HasSuffix(name, controllerManagerName("")) },
		func(name string) bool { return strings.HasSuffix(name, apiserverName("")) && name != serverName },
		func(name string) bool { return name == etcdName || strings.HasPrefix(name, storeName+"-") },
	} {
		var stopping errgroup.Group
		for _, name := range names {
			if tier(name) {
				stopping.Go(func() error { return e.stop(name) })
			}
		}
		if err := stopping.Wait(); err != nil {
			return err
		}
	}
	return e.remove()
}

// remove deletes what an environment consists of, by name: the directory may hold other files.
func (e *Environment) remove() error {
	kubeconfigs, err := filepath.Glob(e.kubeconfig("*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range append(kubeconfigs, e.dataDir(""), e.pkiDir(""), filepath.Dir(e.logFile("")), e.pidDir(), e.stateFile()) {
		errs = append(errs, os.RemoveAll(path))
	}
	return errors.Join(errs...)
}

// lock keeps two commands from working on one environment at a time. It is released when the process ends, too.
func lock(l layout) (unlock func(), err error) {
	unlock, err = lockDir(l.dir, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("another command works on the environment in %s: %w", l.dir, err)
	}
	return unlock, err
}

// lockBuilds waits until no other command builds the binaries, which all environments of a repository share.
func lockBuilds(l layout) (unlock func(), err error) { return lockDir(l.binDir(), syscall.LOCK_EX) }

func lockDir(path string, how int) (unlock func(), err error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, err
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	for err = syscall.EINTR; errors.Is(err, syscall.EINTR); {
		err = syscall.Flock(int(dir.Fd()), how)
	}
	if err != nil {
		dir.Close()
		return nil, &os.PathError{Op: "flock", Path: path, Err: err}
	}
	return func() { dir.Close() }, nil
}

// Clusters returns the names of the clusters, the hub first.
func (e *Environment) Clusters() []string {
	return append([]string{HubName}, e.Members()...)
}

// Members returns the names of the member clusters in order.
func (e *Environment) Members() []string {
	var names []string
	for i := range e.state.Members {
		names = append(names, MemberName(i+1))
	}
	return names
}

// Processes returns the names of the processes that Up has started and Down would stop, running or not.
func (e *Environment) Processes() ([]string, error) {
	entries, err := os.ReadDir(e.pidDir())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	names := map[string]bool{}
	for _, entry := range entries {
		names[entry.Name()] = true
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// Kill ends a process with SIGKILL and returns when it is gone. Up brings it back.
func (e *Environment) Kill(process string) error {
	return e.withProcess(process, func(h *handle) error {
		if err := h.kill(); err != nil {
			return fmt.Errorf("killing %s: %w", process, err)
		}
		return nil
	})
}

// Signal sends a signal to a process, such as SIGSTOP to pause it.
func (e *Environment) Signal(process string, signal syscall.Signal) error {
	return e.withProcess(process, func(h *handle) error {
		if err := h.signal(signal); err != nil {
			return fmt.Errorf("sending %s to %s: %w", signal, process, err)
		}
		return nil
	})
}

// withProcess calls a function with a process that runs; it is an error if it was never started, and none if it has ended.
func (e *Environment) withProcess(process string, do func(*handle) error) error {
	record, err := readPIDFile(e.pidFile(process))
	if err != nil {
		return err
	}
	if record == nil {
		return fmt.Errorf("no process %s was started", process)
	}
	h, err := record.open()
	if err != nil || h == nil {
		return err
	}
	defer h.Close()
	return do(h)
}

// Resident returns how many bytes of memory a process has.
func (e *Environment) Resident(process string) (int, error) {
	record, err := readPIDFile(e.pidFile(process))
	if err != nil {
		return 0, err
	}
	if record == nil || !record.running() {
		return 0, fmt.Errorf("%s does not run", process)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", record.PID))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.Fields(value)[0])
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("the kernel does not tell the memory of %s", process)
}

// BinDir is where the binaries are: those of Kubernetes and stagegate-apiserver.
func (e *Environment) BinDir() string { return e.binDir() }

// Kubeconfig returns the path of the administrator's kubeconfig of a cluster, or of one that User made.
func (e *Environment) Kubeconfig(name string) string { return e.kubeconfig(name) }

// Log returns the path of a process's log.
func (e *Environment) Log(process string) string { return e.logFile(process) }

// AuditLog returns the path of a cluster's audit log, one JSON event a line, at level Metadata.
func (e *Environment) AuditLog(cluster string) string { return e.logFile(cluster + "-audit") }

// RESTConfig returns the client configuration of a kubeconfig, by the name Kubeconfig takes, without client-side rate limits.
func (e *Environment) RESTConfig(name string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", e.kubeconfig(name))
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	return config, nil
}

// User makes a user of the hub, with a client certificate for the name and the groups, and returns the path of the
// kubeconfig. The user has the rights that RBAC gives to the name and the groups, and no others. The names of clusters are
// taken.
func (e *Environment) User(name string, groups ...string) (string, error) {
	if slices.Contains(e.Clusters(), name) {
		return "", fmt.Errorf("%s is a cluster; choose another name for the user", name)
	}
	if name == "" || strings.ContainsAny(name, "/\x00") {
		return "", fmt.Errorf("user %q: the name must be a valid file name", name)
	}
	path := e.kubeconfig(name)
	return path, e.issueUser(HubName, "user-"+name, path, name, groups...)
}
