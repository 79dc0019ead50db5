"""The program behind `repo_tests` and `repo_checkup`: it runs in the sandbox, with the tool environment's Python.

It is packed and handed to the sandbox as it is, so it imports nothing of ours but its own modules, and nothing but the
standard library. What it finds in a repository may be hostile: it follows no link, reads bounded amounts, and starts
git with a configuration of its own.

    detect        how a repository's tests are run
    suite         running them: bounded in time, with the beginning and the end of what they print
    counts        numbers and names out of what they printed
    git           git with nothing of the repository's own configuration that could matter
    tree          the tracked files of a commit
    languages     what a file is written in, and what is not to be touched
    editorconfig  what the repository itself says about white space
    whitespace    the fixes, one file at a time
    page          CHECKUP.md
    write         all of it onto a branch
    main          what is asked, in order
"""
