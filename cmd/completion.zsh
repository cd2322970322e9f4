#compdef prusik
# zsh completion for prusik
_prusik()
{
	local -a options verbs names
	local kind= command=${words[2]} waiting="-w --wait -n --nowait -E --no-code --"
	local i
	for ((i = 3; i < CURRENT; i++)); do
		if [[ ${words[i]} == -- ]]; then # a command of its own
			shift $i words
			((CURRENT -= i))
			_normal
			return
		fi
	done
	if ((CURRENT == 2)); then
		compadd -- ${(f)"$(prusik --help | awk '/^  [a-z]/ { print $1 }')"} --help --version
		return
	fi
	case $command in
	lock) options=(${=waiting} -s --shared -j --json) verbs=(owner) kind=lock ;;
	sem) options=(${=waiting} -m --max -c --count -j --json) verbs=(new post wait value) ;;
	event) options=(${=waiting} -j --json) verbs=(set clear wait is-set) kind=event ;;
	barrier) options=(${=waiting} -c --count -j --json) kind=barrier ;;
	value) options=(-t --type -s --size -w --wait -n --nowait -j --json -q --quiet -E --no-code) verbs=(new get set add cas wait) kind=value ;;
	array) options=(-t --type -l --length -s --size -j --json -q --quiet -E --no-code) verbs=(new get set add cas slice fill len) kind=array ;;
	ls) options=(-l --long --json -t --type) ;;
	rm) options=(-f --force -j --json) ;;
	gc) options=(-q --quiet -j --json) ;;
	doctor) options=(-j --json) ;;
	dict) options=(-q --quiet -j --json -0 --null -x --new -d --default -w --wait -n --nowait -s --size -E --no-code) verbs=(get set del keys items len cas incr update watch clear) kind=dict ;;
	list) options=(-q --quiet -j --json -0 --null -r --reverse -s --size -E --no-code) verbs=(append insert set get pop index count remove slice sort reverse len clear) kind=list ;;
	queue) options=(--kind --max --item-max --tries --ttl --delay --retry-delay --lease --loop --dead --discard --json -w --wait -n --nowait -E --no-code -p --priority -0 --null -q --quiet) verbs=(new put get take done fail peek len join dead requeue drain close rm) kind=queue ;;
	esac
	((CURRENT == 3)) || verbs=()
	if [[ ${words[CURRENT]} == -* ]]; then
		compadd -- $options
	elif [[ $command == (lock|sem|event|barrier|dict|list|value|array|queue|ls|rm) && ${words[CURRENT-1]} != -[wEcmtdsp] ]]; then
		names=(${(f)"$(prusik ls ${kind:+-t} $kind 2>/dev/null)"})
		compadd -- $verbs $names
	fi
}
_prusik "$@"
