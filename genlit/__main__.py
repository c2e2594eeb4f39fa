from genlit.cli import main

main()
