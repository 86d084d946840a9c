#!/usr/bin/env python3
"""The manual page of glesim and completions for shells, made from what the program says of itself, on standard output."""

import argparse
import json
import re
import subprocess
import sys

MAN = r""".TH GLESIM 1 "" "@version@"
.SH NAME
glesim \- train networks of continuous-time neurons with Generalized Latent Equilibrium
.SH SYNOPSIS
.B glesim
.I CONFIG.yaml...
[\fIoptions\fR]
.SH DESCRIPTION
@about@
.PP
A config says what the network, the data and the learning rule are.
.B glesim \-\-list
shows all that it can name.
.SH OPTIONS
@options@
.SH EXIT STATUS
@status@
.SH ENVIRONMENT
.TP
.BR OMP_NUM_THREADS ", " SLURM_CPUS_PER_TASK
At most so many threads are used, unless
.B \-\-threads
says otherwise.
.SH FILES
.TP
.I results/<name>[/<variant>]/seed_<n>/metrics.json
The report: losses and accuracies of all epochs, the config with its defaults, the machine, timing.
.TP
.I weights.npz
Beside it: weights, biases and time constants of every layer, for numpy.
.TP
.I config.yaml
Beside it: the config with all defaults filled in, which runs again.
.TP
.I recording.npz
Beside it, if the config has the key record: traces over time.
.SH EXAMPLES
.TP
.B glesim mnist1d_e2e.yaml \-\-seeds 0\-9
Trains ten networks side by side, and writes a summary of them.
.TP
.B glesim lagline.yaml \-\-variant gle \-\-set learning.optimizer.lr=1e\-3
Runs one variant of a config with another learning rate.
.SH SEE ALSO
B. Ellenberger et al.,
.IR "Backpropagation through space, time and the brain" ,
Nature Communications 2025, arXiv:2403.16933.
"""

BASH = r"""# bash completion for glesim

_glesim()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} key=
    COMPREPLY=()
    # bash takes a.b=c for three words
    if [[ $cur == = ]]; then
        key=$prev cur=
    elif [[ $prev == = ]]; then
        key=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if [[ -n $key ]]; then
        case $key in
@values@
        esac
        return
    fi
    case $prev in
        --set)
            compopt -o nospace
            COMPREPLY=($(compgen -S = -W "@keys@" -- "$cur"))
            ;;
        --output)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -d -- "$cur")
            ;;
        --variant)
            COMPREPLY=($(compgen -W "$(_glesim_variants "${COMP_WORDS[@]}")" -- "$cur"))
            ;;
        @arguments@) ;;
        *)
            if [[ $cur == -* ]]; then
                COMPREPLY=($(compgen -W "@options@" -- "$cur"))
            else
                compopt -o filenames
                mapfile -t COMPREPLY < <(compgen -f -X '!*.yaml' -- "$cur"; compgen -f -X '!*.yml' -- "$cur"
                                         compgen -d -- "$cur")
            fi
            ;;
    esac
}

# The names under `variants:` of the configs among the words.
_glesim_variants()
{
    local word
    for word; do
        [[ ($word == *.yaml || $word == *.yml) && -f $word ]] || continue
        sed -n '/^variants:/,/^[^ #]/s/^  \([A-Za-z0-9_.-]*\):.*/\1/p' "$word"
    done
}

complete -F _glesim glesim
"""

ZSH = r"""#compdef glesim

_glesim_keys()
{
    local -a keys=(@keys@)
    case $words[CURRENT] in
@values@
        *) compadd -S = -- $keys ;;
    esac
}

# The names under `variants:` of the configs among the words.
_glesim_variants()
{
    local word
    local -a names
    for word in ${(M)words:#*.(yaml|yml)}; do
        [[ -f $word ]] && names+=($(sed -n '/^variants:/,/^[^ #]/s/^  \([A-Za-z0-9_.-]*\):.*/\1/p' $word))
    done
    compadd -- $names
}

_arguments \
@options@
    '*:config:_files -g "*.(yaml|yml)"'
"""


def output(*command):
    return subprocess.run(command, capture_output=True, check=True).stdout.decode()


class Command:
    def __init__(self, glesim):
        help_text = output(glesim, "--help")
        parts = help_text.split("\n\n")
        self.about = " ".join(parts[1].split())
        self.options = [(m[1], m[2], m[3]) for m in re.finditer(r"^  --([a-z-]+)(?: (\S+))? +(.+)$", help_text, re.M)]
        self.status = re.findall(r"(\S+) ([^;]+?)[;.]", parts[3].split(": ", 1)[1].replace("signal n.", "signal n;"))
        self.version = output(glesim, "--version").split(" (")[0].splitlines()[0]
        schema = json.loads(output(glesim, "--schema"))
        dotted = schema["definitions"]["map_of_dotted_keys"]["properties"]
        self.keys = list(dotted)
        self.values = {key: words(schema, value) for key, value in dotted.items()}


def words(schema, value):
    """What a value can be, if it can be named."""
    if "$ref" in value:
        value = schema["definitions"][value["$ref"].rsplit("/", 1)[1]]
    for branch in value.get("allOf", []):
        if branch["if"].get("type") == "string":
            value = branch["then"]
    if value.get("type") == "boolean":
        return ["true", "false"]
    return value.get("enum", [])


def roff(text):
    return text.replace("\\", "\\e").replace("-", "\\-")


def man(command):
    options = []
    for name, argument, help_text in command.options:
        words_of = rf" \fI{roff(argument)}\fR" if argument else ""
        options.append(f".TP\n\\fB\\-\\-{roff(name)}\\fR{words_of}\n{roff(help_text)}")
    status = [f".TP\n.B {roff(code)}\n{roff(meaning)}" for code, meaning in command.status]
    return fill(MAN, version=command.version, about=roff(command.about), options="\n".join(options),
                status="\n".join(status))


def bash(command):
    values = [f'            {key}) COMPREPLY=($(compgen -W "{" ".join(names)}" -- "$cur")) ;;'
              for key, names in command.values.items() if names]
    own = ("set", "output", "variant")
    return fill(BASH, keys=" ".join(command.keys), values="\n".join(values),
                arguments=" | ".join("--" + name for name, argument, _ in command.options
                                     if argument and name not in own),
                options=" ".join("--" + name for name, _, _ in command.options))


def zsh(command):
    actions = {"set": "_glesim_keys", "output": "_directories", "variant": "_glesim_variants"}
    options = []
    for name, argument, help_text in command.options:
        words_of = help_text.replace("'", "").replace("[", "\\[").replace("]", "\\]")
        value = f":{argument.replace(':', '')}:{actions.get(name, ' ')}" if argument else ""
        options.append(f"    '{'*' if name == 'set' else ''}--{name}[{words_of}]{value}' \\")
    values = [f"        {key}=*) compadd -P {key}= -- {' '.join(names)} ;;"
              for key, names in command.values.items() if names]
    return fill(ZSH, keys=" ".join(command.keys), values="\n".join(values), options="\n".join(options))


def fill(template, **values):
    for name, value in values.items():
        template = template.replace(f"@{name}@", value)
    return template


def main():
    kinds = {"man": man, "bash": bash, "zsh": zsh}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("program", metavar="GLESIM")
    args = parser.parse_args()
    sys.stdout.write(kinds[args.kind](Command(args.program)))


if __name__ == "__main__":
    main()
