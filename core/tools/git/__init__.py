"""Reading and pushing git repositories, outside the sandbox and yet without trusting a byte of them.

urls    which addresses there are, and which are refused
send    the git commands themselves, in the child that acts outside
inside  git in the sandbox, for everything that touches the run's own copy
read    the tool `git_read`
push    the tool `git_push`
"""
