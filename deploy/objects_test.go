package deploy

import "go.yaml.in/yaml/v3"

// versions are the kinds of objects that the manifests use.
var versions = map[string]string{
	"Namespace": "v1", "ServiceAccount": "v1", "Service": "v1", "ConfigMap": "v1", "StatefulSet": "apps/v1",
	"PodDisruptionBudget": "policy/v1", "NetworkPolicy": "networking.k8s.io/v1",
}

// object is any of those, with the fields that are used, in the names of Kubernetes.
type object struct {
	APIVersion                   string `yaml:"apiVersion"`
	Kind                         string
	Metadata                     metadata
	Data                         map[string]string
	AutomountServiceAccountToken *bool `yaml:"automountServiceAccountToken"`
	Spec                         spec
}

type metadata struct {
	Name, Namespace     string
	Labels, Annotations map[string]string
}

type selector struct {
	MatchLabels map[string]string `yaml:"matchLabels"`
	flat        map[string]string // of a service
}

// UnmarshalYAML reads both forms: labels, and matchLabels.
func (s *selector) UnmarshalYAML(n *yaml.Node) error {
	if len(n.Content) > 0 && n.Content[0].Value == "matchLabels" {
		var labels struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		err := n.Decode(&labels)
		s.MatchLabels = labels.MatchLabels
		return err
	}
	return n.Decode(&s.flat)
}

type spec struct {
	// Of a service.
	ClusterIP                string `yaml:"clusterIP"`
	PublishNotReadyAddresses bool   `yaml:"publishNotReadyAddresses"`
	Ports                    []struct {
		Name, Protocol string
		Port           int
		TargetPort     string `yaml:"targetPort"`
	}
	Selector selector

	// Of a stateful set.
	ServiceName         string `yaml:"serviceName"`
	Replicas            int
	PodManagementPolicy string `yaml:"podManagementPolicy"`
	MinReadySeconds     int    `yaml:"minReadySeconds"`
	Template            struct {
		Metadata metadata
		Spec     pod
	}
	VolumeClaimTemplates []struct {
		Metadata metadata
		Spec     struct {
			AccessModes []string `yaml:"accessModes"`
			Resources   resources
		}
	} `yaml:"volumeClaimTemplates"`

	// Of a budget.
	MaxUnavailable int `yaml:"maxUnavailable"`

	// Of a network policy.
	PodSelector selector `yaml:"podSelector"`
	PolicyTypes []string `yaml:"policyTypes"`
	Ingress     []struct {
		From  []peer
		Ports []policyPort
	}
	Egress []struct {
		To    []peer
		Ports []policyPort
	}
}

type peer struct {
	PodSelector       *selector `yaml:"podSelector"`
	NamespaceSelector *selector `yaml:"namespaceSelector"`
}

type policyPort struct {
	Protocol string
	Port     int
}

type resources struct{ Requests, Limits map[string]string }

type pod struct {
	ServiceAccountName            string `yaml:"serviceAccountName"`
	AutomountServiceAccountToken  *bool  `yaml:"automountServiceAccountToken"`
	EnableServiceLinks            *bool  `yaml:"enableServiceLinks"`
	TerminationGracePeriodSeconds int    `yaml:"terminationGracePeriodSeconds"`
	SecurityContext               struct {
		RunAsNonRoot        bool                  `yaml:"runAsNonRoot"`
		RunAsUser           int                   `yaml:"runAsUser"`
		RunAsGroup          int                   `yaml:"runAsGroup"`
		FSGroup             int                   `yaml:"fsGroup"`
		FSGroupChangePolicy string                `yaml:"fsGroupChangePolicy"`
		SeccompProfile      struct{ Type string } `yaml:"seccompProfile"`
	} `yaml:"securityContext"`
	TopologySpreadConstraints []struct {
		MaxSkew           int      `yaml:"maxSkew"`
		TopologyKey       string   `yaml:"topologyKey"`
		WhenUnsatisfiable string   `yaml:"whenUnsatisfiable"`
		LabelSelector     selector `yaml:"labelSelector"`
	} `yaml:"topologySpreadConstraints"`
	Containers []container
	Volumes    []struct {
		Name      string
		ConfigMap *struct{ Name string } `yaml:"configMap"`
		Secret    *struct {
			SecretName  string `yaml:"secretName"`
			DefaultMode int    `yaml:"defaultMode"`
		}
	}
}

type container struct {
	Name, Image string
	Args        []string
	Env         []variable
	Ports       []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	Resources       resources
	SecurityContext struct {
		AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
		Capabilities             struct{ Drop []string }
	} `yaml:"securityContext"`
	StartupProbe   probe `yaml:"startupProbe"`
	LivenessProbe  probe `yaml:"livenessProbe"`
	ReadinessProbe probe `yaml:"readinessProbe"`
	Lifecycle      *struct {
		PreStop struct{ Sleep struct{ Seconds int } } `yaml:"preStop"`
	}
	VolumeMounts []mount `yaml:"volumeMounts"`
}

// env is the value of a variable.
func (c *container) env(name string) string {
	for _, e := range c.Env {
		if e.Name == name {
			return e.Value
		}
	}
	return ""
}

type variable struct {
	Name, Value string
	ValueFrom   *struct {
		FieldRef struct {
			FieldPath string `yaml:"fieldPath"`
		} `yaml:"fieldRef"`
	} `yaml:"valueFrom"`
}

type probe struct {
	HTTPGet *struct {
		Path, Port, Scheme string
	} `yaml:"httpGet"`
	TCPSocket        *struct{ Port string } `yaml:"tcpSocket"`
	PeriodSeconds    int                    `yaml:"periodSeconds"`
	TimeoutSeconds   int                    `yaml:"timeoutSeconds"`
	FailureThreshold int                    `yaml:"failureThreshold"`
}

type mount struct {
	Name      string
	MountPath string `yaml:"mountPath"`
	ReadOnly  bool   `yaml:"readOnly"`
}
