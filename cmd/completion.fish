# fish completion for prusik
function __prusik_command
    set -l words (commandline -opc)
    test (count $words) -ge 2; and echo $words[2]
end

# No -- before the cursor, or a command of its own has begun.
function __prusik_is
    not contains -- -- (commandline -opc); and contains -- (__prusik_command) $argv
end

function __prusik_first
    __prusik_is $argv; and test (count (commandline -opc)) -eq 2
end

function __prusik_begins
    test (count (commandline -opc)) -eq 1
end

function __prusik_own
    contains -- -- (commandline -opc)
end

function __prusik_names
    prusik ls $argv 2>/dev/null
end

complete -c prusik -f
complete -c prusik -n __prusik_begins -a "(prusik --help | awk '/^  [a-z]/ { print \$1 }')"
complete -c prusik -n __prusik_begins -l help -d 'print what there is'
complete -c prusik -n __prusik_begins -l version -d 'print the version'
complete -c prusik -n __prusik_own -a "(__fish_complete_subcommand)"

complete -c prusik -n '__prusik_is lock sem event barrier' -s w -l wait -x
complete -c prusik -n '__prusik_is lock sem event barrier' -s n -l nowait
complete -c prusik -n '__prusik_is lock sem event barrier' -s E -l no-code -x
complete -c prusik -n '__prusik_is lock' -s s -l shared
complete -c prusik -n '__prusik_is lock sem event barrier rm gc doctor' -s j -l json
complete -c prusik -n '__prusik_is sem' -s m -l max -x
complete -c prusik -n '__prusik_is sem barrier' -s c -l count -x
complete -c prusik -n '__prusik_is ls' -s l -l long
complete -c prusik -n '__prusik_is ls' -l json
complete -c prusik -n '__prusik_is ls' -s t -l type -x
complete -c prusik -n '__prusik_is rm' -s f -l force
complete -c prusik -n '__prusik_is gc' -s q -l quiet

complete -c prusik -n '__prusik_first lock' -a 'owner'
complete -c prusik -n '__prusik_first sem' -a 'new post wait value'
complete -c prusik -n '__prusik_first event' -a 'set clear wait is-set'
complete -c prusik -n '__prusik_is lock' -a '(__prusik_names -t lock)'
complete -c prusik -n '__prusik_is event' -a '(__prusik_names -t event)'
complete -c prusik -n '__prusik_is barrier' -a '(__prusik_names -t barrier)'
complete -c prusik -n '__prusik_is sem ls rm' -a '(__prusik_names)'

complete -c prusik -n '__prusik_is dict' -s q -l quiet
complete -c prusik -n '__prusik_is dict' -s j -l json
complete -c prusik -n '__prusik_is dict' -s 0 -l null
complete -c prusik -n '__prusik_is dict' -s x -l new
complete -c prusik -n '__prusik_is dict' -s d -l default -x
complete -c prusik -n '__prusik_is dict' -s w -l wait -x
complete -c prusik -n '__prusik_is dict' -s n -l nowait
complete -c prusik -n '__prusik_is dict' -s s -l size -x
complete -c prusik -n '__prusik_is dict' -s E -l no-code -x
complete -c prusik -n '__prusik_first dict' -a 'get set del keys items len cas incr update watch clear'
complete -c prusik -n '__prusik_is dict' -a '(__prusik_names -t dict)'
complete -c prusik -n '__prusik_is list' -s q -l quiet
complete -c prusik -n '__prusik_is list' -s j -l json
complete -c prusik -n '__prusik_is list' -s 0 -l null
complete -c prusik -n '__prusik_is list' -s r -l reverse
complete -c prusik -n '__prusik_is list' -s s -l size -x
complete -c prusik -n '__prusik_is list' -s E -l no-code -x
complete -c prusik -n '__prusik_first list' -a 'append insert set get pop index count remove slice sort reverse len clear'
complete -c prusik -n '__prusik_is list' -a '(__prusik_names -t list)'
complete -c prusik -n '__prusik_is value array' -s t -l type -x
complete -c prusik -n '__prusik_is value array' -s s -l size -x
complete -c prusik -n '__prusik_is value array' -s j -l json
complete -c prusik -n '__prusik_is value array' -s q -l quiet
complete -c prusik -n '__prusik_is value array' -s E -l no-code -x
complete -c prusik -n '__prusik_is value' -s w -l wait -x
complete -c prusik -n '__prusik_is value' -s n -l nowait
complete -c prusik -n '__prusik_is array' -s l -l length -x
complete -c prusik -n '__prusik_first value' -a 'new get set add cas wait'
complete -c prusik -n '__prusik_is value' -a '(__prusik_names -t value)'
complete -c prusik -n '__prusik_first array' -a 'new get set add cas slice fill len'
complete -c prusik -n '__prusik_is array' -a '(__prusik_names -t array)'
complete -c prusik -n '__prusik_is queue' -l kind -x
complete -c prusik -n '__prusik_is queue' -l max -x
complete -c prusik -n '__prusik_is queue' -l item-max -x
complete -c prusik -n '__prusik_is queue' -l tries -x
complete -c prusik -n '__prusik_is queue' -l ttl -x
complete -c prusik -n '__prusik_is queue' -l delay -x
complete -c prusik -n '__prusik_is queue' -l retry-delay -x
complete -c prusik -n '__prusik_is queue' -l lease -x
complete -c prusik -n '__prusik_is queue' -l loop
complete -c prusik -n '__prusik_is queue' -l dead
complete -c prusik -n '__prusik_is queue' -l discard
complete -c prusik -n '__prusik_is queue' -l json
complete -c prusik -n '__prusik_is queue' -s w -l wait -x
complete -c prusik -n '__prusik_is queue' -s n -l nowait
complete -c prusik -n '__prusik_is queue' -s E -l no-code -x
complete -c prusik -n '__prusik_is queue' -s p -l priority -x
complete -c prusik -n '__prusik_is queue' -s 0 -l null
complete -c prusik -n '__prusik_is queue' -s q -l quiet
complete -c prusik -n '__prusik_first queue' -a 'new put get take done fail peek len join dead requeue drain close rm'
complete -c prusik -n '__prusik_is queue' -a '(__prusik_names -t queue)'
