// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/stagegate/stagegate/pkg/apis/placement/v1beta1"
	"github.com/stagegate/stagegate/pkg/generated/clientset/versioned"
	"github.com/stagegate/stagegate/test/integration/testserver"
)

const (
	// noisyClients is how many clients the noisy user has.
	noisyClients = 16
	// noisyObjects is how many objects a list of theirs has.
	noisyObjects = 500
	// quietRequests is how many requests of each kind the other user makes, alone and beside them.
	quietRequests = 300
	// quietCommands is how many times the other user runs kubectl for each of them.
	quietCommands = 100
)

// noiseVariable names the kubeconfig of the noisy user in the environment of the process that makes the noise.
const noiseVariable = "STAGEGATE_BENCH_NOISE"

// BenchmarkNoisyUser has one user read and decide approval requests, alone and then beside another one who writes and lists as fast as
// it goes. The other's clients are a process of their own that yields the processor to everybody else, since they would be on another
// machine: what is measured is how the server divides itself.
func BenchmarkNoisyUser(b *testing.B) {
	r := newRigWithoutServer(b)
	r.start(false, testserver.WithPriorityAndFairness(0))
	controller, err := versioned.NewForConfig(r.server.Controllers())
	r.must(err)
	loud, err := versioned.NewForConfig(r.server.As(testserver.Bob))
	r.must(err)
	r.each(noisyObjects, func(i int) error { return createNoise(r.ctx, loud, fmt.Sprintf("noise-%d", i)) })
	kubectl := r.newKubectl()

	for b.Loop() {
		r.each(2*(quietRequests+quietCommands), func(i int) error {
			_, err := controller.PlacementV1beta1().ClusterApprovalRequests().Create(r.ctx, &v1beta1.ClusterApprovalRequest{
				ObjectMeta: metav1.ObjectMeta{Name: requestName(b.N, i)},
				Spec:       v1beta1.ApprovalRequestSpec{TargetUpdateRun: "run", TargetStage: "stage"},
			}, metav1.CreateOptions{})
			return err
		})
		cost := startMeter()
		alone := r.decide(kubectl, 0)
		stop := r.makeNoise()
		beside := r.decide(kubectl, quietRequests+quietCommands)
		made := stop()
		cost.stop(noisyUser)
		b.ReportMetric(beside.kubectlGet.Seconds()/alone.kubectlGet.Seconds(), "x-kubectl-get")
		b.ReportMetric(beside.kubectlApprove.Seconds()/alone.kubectlApprove.Seconds(), "x-kubectl-approve")
		result(noisyUser, "kubectl get %s; approve %s; their requests alone: %s and %s; the other made %s requests",
			times(alone.kubectlGet, beside.kubectlGet), times(alone.kubectlApprove, beside.kubectlApprove),
			times(alone.get, beside.get), times(alone.approve, beside.approve), made)
	}
}

func times(alone, beside time.Duration) string {
	return fmt.Sprintf("%.1f ms alone and %.1f beside, %.1f times", milliseconds(alone), milliseconds(beside), beside.Seconds()/alone.Seconds())
}

func requestName(round, i int) string { return fmt.Sprintf("request-%d-%d", round, i) }

// decided is the 99th percentile of what the quiet user does.
type decided struct {
	get, approve, kubectlGet, kubectlApprove time.Duration
}

// decide reads and approves requests one after the other, from the given one on, first by a client that is connected and then by kubectl.
func (r *rig) decide(kubectl func(...string) error, from int) decided {
	r.Helper()
	var get, approve, kubectlGet, kubectlApprove []time.Duration
	for range quietRequests {
		name := requestName(r.N, from)
		get = append(get, r.timed(func() error {
			_, err := r.api.ClusterApprovalRequests().Get(r.ctx, name, metav1.GetOptions{})
			return err
		}))
		approve = append(approve, r.timed(func() error {
			_, err := r.api.ClusterApprovalRequests().Approve(r.ctx, name, &v1beta1.Approval{}, metav1.CreateOptions{})
			return err
		}))
		from++
	}
	for range quietCommands {
		name := requestName(r.N, from)
		kubectlGet = append(kubectlGet, r.timed(func() error { return kubectl("get", "clusterapprovalrequest", name) }))
		kubectlApprove = append(kubectlApprove, r.timed(func() error {
			return kubectl("patch", "clusterapprovalrequest", name, "--subresource=approve", "--type=merge", "-p", "{}")
		}))
		from++
	}
	return decided{percentile99(get), percentile99(approve), percentile99(kubectlGet), percentile99(kubectlApprove)}
}

// timed does something that must succeed and returns how long it took.
func (r *rig) timed(do func() error) time.Duration {
	r.Helper()
	start := time.Now()
	r.must(do())
	return time.Since(start)
}

func percentile99(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)*99/100]
}

// newKubectl builds kubectl and returns how the quiet user runs it.
func (r *rig) newKubectl() func(args ...string) error {
	r.Helper()
	dir := r.TempDir()
	path, config := filepath.Join(dir, "kubectl"), filepath.Join(dir, "kubeconfig")
	r.must(exec.CommandContext(r.ctx, "go", "build", "-o", path, "../integration/kubectl").Run())
	r.must(testserver.WriteKubeconfig(r.server.As(testserver.Alice), config))
	return func(args ...string) error {
		command := exec.CommandContext(r.ctx, path, args...)
		command.Env = append(os.Environ(), clientcmd.RecommendedConfigPathEnvVar+"="+config, "HOME="+dir)
		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, out)
		}
		return nil
	}
}

// makeNoise starts the process of the noisy user. What it returns stops that and returns how many requests were made.
func (r *rig) makeNoise() (stop func() (made string)) {
	r.Helper()
	config := filepath.Join(r.TempDir(), "kubeconfig")
	r.must(testserver.WriteKubeconfig(r.server.As(testserver.Bob), config))
	self, err := os.Executable()
	r.must(err)
	command := exec.CommandContext(r.ctx, "nice", "-n", "19", self)
	command.Env = append(os.Environ(), noiseVariable+"="+config)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, os.Stderr
	r.must(command.Start())
	return func() string {
		r.must(command.Process.Signal(os.Interrupt))
		r.must(command.Wait())
		return out.String()
	}
}

// noisyProcess has the clients of a user create, list and delete until it is interrupted, and prints how many requests they have made.
func noisyProcess(kubeconfig string) error {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	loud, err := versioned.NewForConfig(config)
	if err != nil {
		return err
	}
	var made atomic.Int64
	var running sync.WaitGroup
	failures := make(chan error, noisyClients)
	for client := range noisyClients {
		running.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if err := noise(ctx, loud, fmt.Sprintf("noise-%d-%d", client, i)); err != nil && ctx.Err() == nil {
					failures <- err
					return
				}
				made.Add(3)
			}
		})
	}
	running.Wait()
	close(failures)
	fmt.Print(made.Load())
	return <-failures
}

func noise(ctx context.Context, loud versioned.Interface, name string) error {
	if err := createNoise(ctx, loud, name); err != nil {
		return err
	}
	// Not decoded: that is the client's work.
	body, err := loud.PlacementV1beta1().RESTClient().Get().Resource("clusterstagedupdatestrategies").Stream(ctx)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, body)
	if err := errors.Join(err, body.Close()); err != nil {
		return err
	}
	return loud.PlacementV1beta1().ClusterStagedUpdateStrategies().Delete(ctx, name, metav1.DeleteOptions{})
}

func createNoise(ctx context.Context, loud versioned.Interface, name string) error {
	_, err := loud.PlacementV1beta1().ClusterStagedUpdateStrategies().Create(ctx, &v1beta1.ClusterStagedUpdateStrategy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1beta1.UpdateStrategySpec{Stages: []v1beta1.StageConfig{stage("canary", "50%"), stage("production", "25%", needsApproval)}},
	}, metav1.CreateOptions{})
	return err
}
