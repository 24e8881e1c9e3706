package deploy

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// pods are the stateful sets by name, and everything else that belongs to them.
type manifests struct {
	sets     map[string]*object
	services map[string]*object
	configs  map[string]*object
	budgets  []*object
	policies []*object
}

func readManifests(t *testing.T) (m manifests) {
	t.Helper()
	m = manifests{sets: map[string]*object{}, services: map[string]*object{}, configs: map[string]*object{}}
	files, err := filepath.Glob("kubernetes/*.yaml")
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		decoder := yaml.NewDecoder(strings.NewReader(read(t, file)))
		decoder.KnownFields(true)
		for {
			o := new(object)
			err := decoder.Decode(o)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if want := versions[o.Kind]; o.APIVersion != want {
				t.Errorf("%s: %s %s, not %q", file, o.Kind, o.APIVersion, want)
			}
			if o.Metadata.Namespace != "restraint" && (o.Kind != "Namespace" || o.Metadata.Name != "restraint") {
				t.Errorf("%s: %s %s is in namespace %q", file, o.Kind, o.Metadata.Name, o.Metadata.Namespace)
			}
			switch o.Kind {
			case "StatefulSet":
				m.sets[o.Metadata.Name] = o
			case "Service":
				m.services[o.Metadata.Name] = o
			case "ConfigMap":
				m.configs[o.Metadata.Name] = o
			case "PodDisruptionBudget":
				m.budgets = append(m.budgets, o)
			case "NetworkPolicy":
				m.policies = append(m.policies, o)
			}
		}
	}
	return m
}

// selected are the sets whose pods have the labels; there has to be one.
func (m *manifests) selected(t *testing.T, what string, labels map[string]string) *object {
	t.Helper()
	for _, s := range m.sets {
		if len(labels) > 0 && within(labels, s.Spec.Template.Metadata.Labels) {
			return s
		}
	}
	t.Fatalf("%s: no pods have the labels %v", what, labels)
	return nil
}

func within(some, all map[string]string) bool {
	for k, v := range some {
		if all[k] != v {
			return false
		}
	}
	return true
}

// ports are the ports of a set's containers by name.
func (o *object) ports() map[string]int {
	ports := map[string]int{}
	for _, c := range o.Spec.Template.Spec.Containers {
		for _, p := range c.Ports {
			ports[p.Name] = p.ContainerPort
		}
	}
	return ports
}

func hasPort(ports map[string]int, port int) bool {
	for _, p := range ports {
		if p == port {
			return true
		}
	}
	return false
}

// Selectors find what they are meant to find, and ports are those of the pods.
func TestKubernetesFitsTogether(t *testing.T) {
	m := readManifests(t)
	if len(m.sets) != 2 || len(m.services) != 3 || len(m.budgets) != 2 || len(m.policies) != 2 {
		t.Fatal("something is missing")
	}
	for name, s := range m.sets {
		if len(s.Spec.Selector.MatchLabels) == 0 || !within(s.Spec.Selector.MatchLabels, s.Spec.Template.Metadata.Labels) {
			t.Errorf("%s does not select its own pods", name)
		}
		if head := m.services[s.Spec.ServiceName]; head == nil || head.Spec.ClusterIP != "None" || !head.Spec.PublishNotReadyAddresses || m.selected(t, name, head.Spec.Selector.flat) != s {
			t.Errorf("%s has no headless service of its own", name)
		}
		for _, c := range s.Spec.Template.Spec.TopologySpreadConstraints {
			if m.selected(t, name+" spread", c.LabelSelector.MatchLabels) != s {
				t.Errorf("%s is spread by the pods of another", name)
			}
		}
		budget, policy := 0, 0
		for _, b := range m.budgets {
			if m.selected(t, "budget", b.Spec.Selector.MatchLabels) == s && b.Spec.MaxUnavailable == 1 {
				budget++
			}
		}
		for _, p := range m.policies {
			if m.selected(t, "policy", p.Spec.PodSelector.MatchLabels) == s {
				policy++
			}
		}
		if budget != 1 || policy != 1 {
			t.Errorf("%s has %d budgets and %d policies", name, budget, policy)
		}
	}
	for name, s := range m.services {
		ports := m.selected(t, name, s.Spec.Selector.flat).ports()
		for _, p := range s.Spec.Ports {
			if ports[p.TargetPort] == 0 || p.Port != ports[p.TargetPort] {
				t.Errorf("service %s: port %d to %q; the pods have %v", name, p.Port, p.TargetPort, ports)
			}
		}
	}
	m.checkPolicies(t)
}

// checkPolicies looks whether network policies let in and out what pods have, and nobody
// to anything else.
func (m *manifests) checkPolicies(t *testing.T) {
	t.Helper()
	for _, p := range m.policies {
		own := m.selected(t, "policy", p.Spec.PodSelector.MatchLabels)
		open := map[string]int{}
		for _, rule := range p.Spec.Ingress {
			for _, port := range rule.Ports {
				if len(rule.From) == 0 || !hasPort(own.ports(), port.Port) {
					t.Errorf("policy %s lets anybody in, or in to port %d, which no pod has", p.Metadata.Name, port.Port)
				}
				open[strconv.Itoa(port.Port)] = port.Port
			}
		}
		for _, port := range own.ports() {
			if !hasPort(open, port) {
				t.Errorf("policy %s lets nobody in to port %d", p.Metadata.Name, port)
			}
		}
		for _, rule := range p.Spec.Egress {
			for _, to := range rule.To {
				if to.PodSelector == nil {
					continue
				}
				for _, port := range rule.Ports {
					if ports := m.selected(t, "egress", to.PodSelector.MatchLabels).ports(); !hasPort(ports, port.Port) {
						t.Errorf("policy %s lets out to port %d; there are %v", p.Metadata.Name, port.Port, ports)
					}
				}
			}
		}
	}
}

// Pods may do nothing that they need not, are asked where they answer, and have the time
// and the memory that they need.
func TestKubernetesPods(t *testing.T) {
	m := readManifests(t)
	image := ""
	for name, s := range m.sets {
		pod := s.Spec.Template.Spec
		if len(pod.Containers) != 1 || *pod.AutomountServiceAccountToken || !pod.SecurityContext.RunAsNonRoot || pod.SecurityContext.RunAsUser == 0 || pod.SecurityContext.FSGroup == 0 || pod.SecurityContext.SeccompProfile.Type != "RuntimeDefault" {
			t.Errorf("%s: %+v", name, pod.SecurityContext)
		}
		c := pod.Containers[0]
		if x := c.SecurityContext; *x.AllowPrivilegeEscalation || !x.ReadOnlyRootFilesystem || !slices.Equal(x.Capabilities.Drop, []string{"ALL"}) {
			t.Errorf("%s: %+v", name, x)
		}
		if image == "" {
			image = c.Image
		}
		if c.Image != image || strings.HasSuffix(c.Image, ":latest") || !strings.Contains(c.Image, ":") {
			t.Errorf("%s: image %s", name, c.Image)
		}
		for _, p := range []probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
			switch {
			case p.HTTPGet != nil && (s.ports()[p.HTTPGet.Port] == 0 || p.HTTPGet.Path == ""), p.TCPSocket != nil && s.ports()[p.TCPSocket.Port] == 0, p.HTTPGet == nil && p.TCPSocket == nil:
				t.Errorf("%s: probe %+v", name, p)
			}
		}
		grace := time.Duration(pod.TerminationGracePeriodSeconds) * time.Second
		stop := time.Duration(0)
		if l := c.Lifecycle; l != nil {
			stop = time.Duration(l.PreStop.Sleep.Seconds) * time.Second
		}
		if name == "restraint" && (stop == 0 || grace <= stop+drain(t)) {
			t.Errorf("terminationGracePeriodSeconds %s: preStop %s and a drain of %s", grace, stop, drain(t))
		}
		if c.Resources.Requests["memory"] != c.Resources.Limits["memory"] || c.Resources.Limits["cpu"] != "" {
			t.Errorf("%s: %+v", name, c.Resources)
		}
		mounted := map[string]bool{}
		for _, v := range pod.Volumes {
			mounted[v.Name] = true
			if v.ConfigMap != nil && m.configs[v.ConfigMap.Name] == nil {
				t.Errorf("%s: there is no ConfigMap %s", name, v.ConfigMap.Name)
			}
			if v.Secret != nil && v.Secret.DefaultMode != 0o440 {
				t.Errorf("%s: the secret %s has mode %o", name, v.Secret.SecretName, v.Secret.DefaultMode)
			}
		}
		for _, v := range s.Spec.VolumeClaimTemplates {
			mounted[v.Metadata.Name] = true
		}
		for _, v := range c.VolumeMounts {
			if !mounted[v.Name] {
				t.Errorf("%s: there is no volume %s", name, v.Name)
			}
		}
	}
}

// The node's configuration is one that the program takes, with the ports, files, memory
// and NATS servers that the pods have.
func TestKubernetesConfig(t *testing.T) {
	m := readManifests(t)
	set := m.sets["restraint"]
	c := set.Spec.Template.Spec.Containers[0]
	config := m.configs["restraint"].Data
	if !slices.Equal(c.Args, []string{"serve", "--config", "/etc/restraint/config/restraint.yaml"}) {
		t.Errorf("args %q", c.Args)
	}
	file := filepath.Join(t.TempDir(), "restraint.yaml")
	if err := os.WriteFile(file, []byte(config["restraint.yaml"]), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := printed(t, nil, "--config", file)
	known := printed(t, nil)
	for _, e := range c.Env {
		if name, ours := strings.CutPrefix(e.Name, "RESTRAINT_"); ours && !slices.ContainsFunc(names(known), func(k string) bool { return strings.ToUpper(strings.ReplaceAll(k, ".", "_")) == name }) {
			t.Errorf("there is no key for %s", e.Name)
		}
	}
	ports := set.ports()
	if keys["listen"] != "0.0.0.0:"+strconv.Itoa(ports["bid"]) || keys["admin.listen"] != "0.0.0.0:"+strconv.Itoa(ports["admin"]) {
		t.Errorf("listen %s, admin.listen %s, ports %v", keys["listen"], keys["admin.listen"], ports)
	}
	for _, key := range []string{"data", "policy", "secret_file", "keys_file", "tls.cert", "tls.key", "nats.tls.ca", "nats.tls.cert", "nats.tls.key"} {
		if !slices.ContainsFunc(c.VolumeMounts, func(v mount) bool {
			return strings.HasPrefix(keys[key], v.MountPath+"/") && v.ReadOnly == (key != "data")
		}) {
			t.Errorf("%s: %s is on no volume, or on one that is not for it", key, keys[key])
		}
	}
	if config[filepath.Base(keys["policy"])] == "" {
		t.Errorf("there is no policy %s in the ConfigMap", keys["policy"])
	}
	for _, p := range []probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		if p.HTTPGet.Port != "admin" || (p.HTTPGet.Scheme == "HTTPS") != (keys["tls.cert"] != "") || keys["tls.client_ca"] != "" {
			t.Errorf("the kubelet cannot ask %+v", p.HTTPGet)
		}
	}
	if c.LivenessProbe.HTTPGet.Path != "/healthz" || c.StartupProbe.HTTPGet.Path != "/healthz" || c.ReadinessProbe.HTTPGet.Path != "/readyz" {
		t.Error("a node that waits for NATS would be killed, or one that is not ready asked")
	}
	fits(t, keys["caps.memory"], c.env("GOMEMLIMIT"), c.Resources.Limits["memory"])
	nats := m.sets["restraint-nats"]
	var urls []string
	for i := range nats.Spec.Replicas {
		urls = append(urls, "tls://"+nats.Metadata.Name+"-"+strconv.Itoa(i)+"."+nats.Spec.ServiceName+":"+strconv.Itoa(nats.ports()["client"]))
	}
	for _, url := range urls {
		if !strings.Contains(keys["nats.urls"], url) {
			t.Errorf("nats.urls %s without %s", keys["nats.urls"], url)
		}
	}
	if keys["nats.replicas"] != strconv.Itoa(nats.Spec.Replicas) {
		t.Errorf("%s replicas of %d servers", keys["nats.replicas"], nats.Spec.Replicas)
	}
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte(config["policy.yaml"]), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, code := call(t, t.TempDir(), nil, "check", "--policy", policy); code != 0 {
		t.Error(said)
	}
	layOut(t, config["restraint.yaml"], map[string]string{
		"/etc/restraint/config/": "config/", "/etc/restraint/secret/": "secret/", "/etc/restraint/tls/": "tls/", "/etc/restraint/nats/": "nats/", "/var/lib/restraint/": "var/",
	})
}

// The NATS servers have the files of nats/cluster, and everything that those ask for.
func TestKubernetesNATS(t *testing.T) {
	m := readManifests(t)
	c := m.sets["restraint-nats"].Spec.Template.Spec.Containers[0]
	for name, text := range m.configs["restraint-nats"].Data {
		if text != read(t, "nats/cluster/"+name) {
			t.Errorf("%s differs from that of nats/cluster", name)
		}
	}
	if !slices.Equal(c.Args, []string{"nats", "--config", "/etc/restraint-nats/config/server.conf"}) {
		t.Errorf("args %q", c.Args)
	}
	asked := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^[^#\n]*: \$([A-Z_]+)`).FindAllStringSubmatch(read(t, "nats/cluster/server.conf"), -1) {
		asked[found[1]] = true
		if !slices.ContainsFunc(c.Env, func(e variable) bool { return e.Name == found[1] && (e.Value != "" || e.ValueFrom != nil) }) {
			t.Errorf("the server asks for %s", found[1])
		}
	}
	if len(asked) != 8 {
		t.Error("not all is found that the server asks for: ", asked)
	}
	for name, port := range map[string]string{"NATS_LISTEN": "client", "NATS_CLUSTER": "cluster"} {
		if !strings.HasSuffix(c.env(name), ":"+strconv.Itoa(m.sets["restraint-nats"].ports()[port])) {
			t.Errorf("%s=%s", name, c.env(name))
		}
	}
}

func names(m map[string]string) (all []string) {
	for k := range m {
		all = append(all, k)
	}
	return all
}

// What is not known in a manifest is a fault, so that the tests above see all there is.
func TestKubernetesUnknownFields(t *testing.T) {
	for _, text := range []string{"kind: Service\nspec: {clusterIp: None}\n", "kind: StatefulSet\nspec: {template: {spec: {containers: [{resource: {}}]}}}\n"} {
		decoder := yaml.NewDecoder(bytes.NewReader([]byte(text)))
		decoder.KnownFields(true)
		if err := decoder.Decode(new(object)); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}
