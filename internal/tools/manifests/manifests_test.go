// Package manifests checks deploy/kubernetes against the types of Kubernetes' own API. It is a package of the tools'
// module, as these types are many and nothing else here wants them.
package manifests

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

const dir = "../../../deploy/kubernetes"

// scaledObject is KEDA's ScaledObject (keda.sh/v1alpha1), as much of it as anybody needs. Its own module brings
// hundreds of others.
type scaledObject struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		ScaleTargetRef struct {
			APIVersion             string `json:"apiVersion"`
			Kind                   string `json:"kind"`
			Name                   string `json:"name"`
			EnvSourceContainerName string `json:"envSourceContainerName"`
		} `json:"scaleTargetRef"`
		PollingInterval       *int32 `json:"pollingInterval"`
		InitialCooldownPeriod *int32 `json:"initialCooldownPeriod"`
		CooldownPeriod        *int32 `json:"cooldownPeriod"`
		IdleReplicaCount      *int32 `json:"idleReplicaCount"`
		MinReplicaCount       *int32 `json:"minReplicaCount"`
		MaxReplicaCount       *int32 `json:"maxReplicaCount"`
		Fallback              *struct {
			FailureThreshold int32  `json:"failureThreshold"`
			Replicas         int32  `json:"replicas"`
			Behavior         string `json:"behavior"`
		} `json:"fallback"`
		Advanced *struct {
			RestoreToOriginalReplicaCount bool `json:"restoreToOriginalReplicaCount"`
			HorizontalPodAutoscalerConfig *struct {
				Name     string                                         `json:"name"`
				Behavior *autoscalingv2.HorizontalPodAutoscalerBehavior `json:"behavior"`
			} `json:"horizontalPodAutoscalerConfig"`
		} `json:"advanced"`
		Triggers []struct {
			Type              string                         `json:"type"`
			Name              string                         `json:"name"`
			UseCachedMetrics  bool                           `json:"useCachedMetrics"`
			Metadata          map[string]string              `json:"metadata"`
			AuthenticationRef *struct{ Name, Kind string }   `json:"authenticationRef"`
			MetricType        autoscalingv2.MetricTargetType `json:"metricType"`
		} `json:"triggers"`
	} `json:"spec"`
}

// kinds are those that the manifests use. Another one gets a row.
var kinds = map[string]func() any{
	"apps/v1 Deployment":                     func() any { return new(appsv1.Deployment) },
	"autoscaling/v2 HorizontalPodAutoscaler": func() any { return new(autoscalingv2.HorizontalPodAutoscaler) },
	"keda.sh/v1alpha1 ScaledObject":          func() any { return new(scaledObject) },
	"networking.k8s.io/v1 NetworkPolicy":     func() any { return new(networkingv1.NetworkPolicy) },
	"policy/v1 PodDisruptionBudget":          func() any { return new(policyv1.PodDisruptionBudget) },
	"v1 ConfigMap":                           func() any { return new(corev1.ConfigMap) },
	"v1 Namespace":                           func() any { return new(corev1.Namespace) },
	"v1 Secret":                              func() any { return new(corev1.Secret) },
	"v1 Service":                             func() any { return new(corev1.Service) },
}

// read decodes each manifest strictly: a field that there is not, or one of another type, is an error, as it is for an
// API server with --validate=strict. Values that only a server checks are not looked at.
func read(t *testing.T) (all []any) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name == "kustomization.yaml" {
			return err
		}
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		for r := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(raw))); ; {
			document, err := r.Read()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			object, err := strict(document)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			all = append(all, object)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestManifests checks the fields of all manifests, and that what refers to another by name or label finds it: a
// cluster would take them without a word.
func TestManifests(t *testing.T) {
	all := read(t)
	pods := map[string]corev1.PodTemplateSpec{}
	config := map[string]bool{}
	for _, object := range all {
		switch o := object.(type) {
		case *appsv1.Deployment:
			pods[o.Name] = o.Spec.Template
		case *corev1.ConfigMap:
			config["configmap "+o.Name] = true
		case *corev1.Secret:
			config["secret "+o.Name] = true
		}
	}
	if len(pods) != 3 {
		t.Fatalf("%d deployments, want the worker's, the dashboard's and serve's", len(pods))
	}
	scaled := 0
	for _, object := range all {
		switch o := object.(type) {
		case *appsv1.Deployment:
			found(t, "deployment "+o.Name, *o.Spec.Selector, pods, "")
		case *scaledObject:
			scaled++
			if target := o.Spec.ScaleTargetRef.Name; pods[target].Labels == nil {
				t.Errorf("the scaler's target %q is no deployment", target)
			}
		case *autoscalingv2.HorizontalPodAutoscaler:
			if target := o.Spec.ScaleTargetRef; target.Kind != "Deployment" || pods[target.Name].Labels == nil {
				t.Errorf("the autoscaler's target %+v is no deployment", target)
			}
		case *corev1.Service:
			for _, port := range o.Spec.Ports {
				found(t, "service "+o.Name, metav1.LabelSelector{MatchLabels: o.Spec.Selector}, pods, port.TargetPort.StrVal)
			}
		case *policyv1.PodDisruptionBudget:
			found(t, "budget "+o.Name, *o.Spec.Selector, pods, "")
		case *networkingv1.NetworkPolicy:
			for _, rule := range o.Spec.Ingress {
				for _, port := range rule.Ports {
					found(t, "policy "+o.Name, o.Spec.PodSelector, pods, port.Port.StrVal)
				}
			}
		}
	}
	if scaled != 1 {
		t.Errorf("%d scalers, want one", scaled)
	}
	for name, pod := range pods {
		for _, ref := range references(pod.Spec) {
			if !config[ref] {
				t.Errorf("%s wants %s, which neither config.yaml nor secret.example.yaml has", name, ref)
			}
		}
	}
}

// found wants the selector to match the pods of one deployment, which have the port.
func found(t *testing.T, who string, selector metav1.LabelSelector, pods map[string]corev1.PodTemplateSpec, port string) {
	t.Helper()
	s, err := metav1.LabelSelectorAsSelector(&selector)
	if err != nil {
		t.Errorf("%s: %v", who, err)
		return
	}
	n := 0
	for _, pod := range pods {
		if !s.Matches(labels.Set(pod.Labels)) {
			continue
		}
		n++
		named := func(p corev1.ContainerPort) bool { return p.Name == port }
		if port != "" && !slices.ContainsFunc(pod.Spec.Containers[0].Ports, named) {
			t.Errorf("%s: the pods have no port %q", who, port)
		}
	}
	if n != 1 {
		t.Errorf("%s: its selector matches %d deployments", who, n)
	}
}

// references are the names of all settings and secrets without which a pod does not start.
func references(pod corev1.PodSpec) (refs []string) {
	for _, c := range pod.Containers {
		for _, from := range c.EnvFrom {
			refs = append(refs, "configmap "+from.ConfigMapRef.Name)
		}
		for _, env := range c.Env {
			switch from := env.ValueFrom; {
			case from == nil:
			case from.ConfigMapKeyRef != nil:
				refs = append(refs, "configmap "+from.ConfigMapKeyRef.Name)
			default:
				refs = append(refs, "secret "+from.SecretKeyRef.Name)
			}
		}
	}
	for _, volume := range pod.Volumes {
		if volume.Secret == nil {
			continue
		}
		if optional := volume.Secret.Optional; optional == nil || !*optional {
			refs = append(refs, "secret "+volume.Secret.SecretName)
		}
	}
	return refs
}

func strict(document []byte) (any, error) {
	var head metav1.TypeMeta
	if err := yaml.Unmarshal(document, &head); err != nil {
		return nil, err
	}
	fresh, ok := kinds[head.APIVersion+" "+head.Kind]
	if !ok {
		return nil, errors.New("no type for " + head.APIVersion + " " + head.Kind)
	}
	object := fresh()
	return object, yaml.UnmarshalStrict(document, object)
}

// TestStrict makes sure that it finds something.
func TestStrict(t *testing.T) {
	good, err := os.ReadFile(filepath.Join(dir, "scaledobject.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"an unknown field":    strings.Replace(string(good), "pollingInterval", "pollInterval", 1),
		"another type":        strings.Replace(string(good), "cooldownPeriod: 300", "cooldownPeriod: 5m", 1),
		"a field given twice": string(good) + "metadata: {name: again}\n",
		"an unknown kind":     strings.Replace(string(good), "kind: ScaledObject", "kind: ScaledObjects", 1),
	} {
		if _, err := strict([]byte(bad)); err == nil {
			t.Errorf("%s is not found", name)
		}
	}
	if _, err := strict(good); err != nil {
		t.Error(err)
	}
}
