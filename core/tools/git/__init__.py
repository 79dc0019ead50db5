"""Reading and pushing git repositories, outside the sandbox and yet without trusting a byte of them.

urls       which addresses there are, and which are refused (pure)
routes     where an address leads, by the operator's word, and with which secret
inside     git in the sandbox, for everything that touches the run's own copy
read       the tool `git_read`
push       the tool `git_push`
undoing    the tool `git_push.undo`
looking    where a branch is over there

In the child that acts outside (`core.tools.effects`):

command    how git is run there
answers    what its failures mean, and what an effect answers
fetching   a mirror of an address, and a look at its branches
taking     a commit of the workspace into a repository of ours, checked
reviewing  what would be pushed, as text for people
sending    the push and its undoing
"""
